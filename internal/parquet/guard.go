package parquet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// Limits on what is read. A hundred bytes can claim 10^12 rows, and run lengths
// can then supply a value for each of them. Files on the hub are far below the
// limits: their pages and dictionaries are about a megabyte, their footers a
// few.
const (
	maxFooter = 16 << 20 // bytes
	// maxStructs bounds the structures in the footer. Each takes up to 560 bytes
	// of memory, and a column of a row group has about six.
	maxStructs = 1 << 19
	maxColumns = 10_000
	// maxPage bounds a page in bytes, both compressed and decompressed.
	maxPage = 256 << 20
	// maxHeld bounds the bytes of pages and dictionaries, of all columns, that
	// are in memory at a time.
	maxHeld = 512 << 20
	// maxDictionary bounds a dictionary in values. Writers end a dictionary at
	// a megabyte.
	maxDictionary = 1 << 20
	// maxRowValues and maxRowBytes bound the values of a row and the bytes of
	// their text. A line of JSONL has the same bound in bytes.
	maxRowValues = 1 << 20
	maxRowBytes  = 64 << 20
	// A file of n bytes may hold freeRows + maxRatio·n rows, freeValues +
	// maxRatio·n values per column, and freeBytes + maxRatio·n bytes after
	// decompression. Text does not compress to a hundredth.
	freeRows   = 1 << 20
	freeValues = 1 << 22
	freeBytes  = 64 << 20
	maxRatio   = 1024
)

// budget bounds the memory and work of reading a file's rows once.
type budget struct {
	size     int64 // of the file, in bytes
	held     int64 // bytes of pages and dictionaries in memory
	unpacked int64 // bytes of all pages so far, decompressed
}

// unpack counts n bytes that are about to be decompressed or copied.
func (b *budget) unpack(n int64) error {
	if b.unpacked += n; b.unpacked > freeBytes+maxRatio*b.size {
		return fmt.Errorf("unpacks to more than %d bytes, the limit for a file of %d bytes", freeBytes+maxRatio*b.size, b.size)
	}
	return nil
}

// hold counts n bytes that are about to be kept; a negative n releases bytes.
func (b *budget) hold(n int64) error {
	if b.held += n; b.held > maxHeld {
		return fmt.Errorf("the pages and dictionaries of one row group need %d bytes of memory at a time, more than the limit of %d; "+
			"read fewer columns, or write the file with smaller pages", b.held, int64(maxHeld))
	}
	return nil
}

// checkCounts refuses a footer that claims more rows, values or bytes than the
// limits allow for a file of that size.
func checkCounts(m *format.FileMetaData, size int64) error {
	var rows, bytes int64
	values := map[int]int64{} // by column
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > freeRows+maxRatio*size-rows {
			return fmt.Errorf("announces %d rows in row group %d; in a file of %d bytes at most %d are expected",
				g.NumRows, i, size, freeRows+maxRatio*size)
		}
		rows += g.NumRows
		for j := range g.Columns {
			c := &g.Columns[j].MetaData
			if c.NumValues < 0 || c.NumValues > freeValues+maxRatio*size-values[j] {
				return fmt.Errorf("announces %d values in column %d of row group %d; in a file of %d bytes at most %d are expected",
					c.NumValues, j, i, size, freeValues+maxRatio*size)
			}
			values[j] += c.NumValues
			if c.TotalCompressedSize < 0 || c.TotalCompressedSize > size-bytes {
				return fmt.Errorf("announces column chunks of more than the file's %d bytes, at column %d of row group %d", size, j, i)
			}
			bytes += c.TotalCompressedSize
		}
	}
	if m.NumRows != rows {
		return fmt.Errorf("announces %d rows, but its row groups have %d", m.NumRows, rows)
	}
	return nil
}

// checkFooter refuses a file whose footer cannot be what it claims, before the
// library reads it.
func checkFooter(r io.ReaderAt, size int64) error {
	if size < 12 {
		return fmt.Errorf("is %d bytes long, too short for a Parquet file", size)
	}
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	switch string(tail[4:]) {
	case "PAR1":
	case "PARE":
		return fmt.Errorf("is an encrypted Parquet file, which cannot be read")
	default:
		return fmt.Errorf("does not end in PAR1: not a Parquet file, or its end is missing")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-12 || n > maxFooter {
		return fmt.Errorf("announces a footer of %d bytes (file: %d bytes, limit: %d)", n, size, maxFooter)
	}
	w := walker{r: bufio.NewReader(io.NewSectionReader(r, size-8-n, n)), left: n, structs: maxStructs}
	if err := w.structure(0, 0, nil); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	return nil
}
