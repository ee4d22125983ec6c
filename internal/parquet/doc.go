// Package parquet reads and writes Parquet files. Barka's own rows are written
// from Go structs (zstd, one fixed layout, the same bytes for the same rows),
// so that pyarrow and Hugging Face datasets load them. Files from elsewhere
// are read as maps, with column selection. Limits keep a damaged or hostile
// file from crashing the program or filling the memory; see guard.go.
//
// Writing, the footer and the schema are the work of
// github.com/parquet-go/parquet-go, behind checks of the footer. Pages are
// decoded here (page.go, decode.go), because the library trusts the numbers
// inside a page and Go cannot recover from the allocations that follow.
// Measured with parquet-go v0.32.0 behind the same checks, page headers
// included:
//
//   - A delta-encoded column in a file of 105 bytes makes the library ask for
//     16 GiB; a run of repetition levels in one of 148 bytes, for 8 GiB and
//     more. Both end the process. TestBombs holds both files.
//   - A zstd page that announces 16 bytes and unpacks to 1 GiB is accepted,
//     with 4 GiB of memory. Here it is an error.
//   - Of 600 valid files with one to three random bytes changed, six end the
//     process: the library doubles the output buffer of a damaged LZ4 page
//     until memory runs out.
//   - The library is not faster. It takes between 0.87 and 1.31 times the CPU
//     time of this package for six files: pyarrow's with snappy, zstd and delta
//     encodings, and our own (BenchmarkColumns).
//
// TestEntriesAsTheLibraryReads compares the two decoders on valid files.
package parquet
