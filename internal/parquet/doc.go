// Package parquet reads and writes Parquet files. Barka's own rows are written
// from Go structs (zstd, one fixed layout, the same bytes for the same rows)
// so that pyarrow and Hugging Face datasets load them; files of others are read
// as maps, with column selection and with limits that keep a damaged or
// hostile file from crashing the program or from filling the memory.
//
// The format itself is the work of github.com/parquet-go/parquet-go.
package parquet
