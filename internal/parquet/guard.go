package parquet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// Limits of what is read. A file's numbers are claims: a hundred bytes can
// claim 10^12 rows, and honest run lengths make a value of them. Files of the
// hub stay far below the limits: their pages and dictionaries are of a
// megabyte, and their footers of some.
const (
	maxFooter = 16 << 20 // bytes
	// maxStructs bounds the footer's structures, which take up to 560 bytes of
	// memory each. A column of a row group has about six.
	maxStructs = 1 << 19
	maxColumns = 10_000
	// maxPage is in bytes, before and after compression.
	maxPage = 256 << 20
	// maxHeld bounds the pages and dictionaries of all columns that are in
	// memory at a time, in bytes.
	maxHeld = 512 << 20
	// maxDictionary is in values. Writers end a dictionary at a megabyte.
	maxDictionary = 1 << 20
	// A row has at most maxRowValues values, with maxRowBytes bytes of text:
	// no more than a line of JSONL.
	maxRowValues = 1 << 20
	maxRowBytes  = 64 << 20
	// A file may give freeRows rows, freeValues values in a column and freeBytes
	// bytes after decompression, however small it is, and for each of its bytes
	// maxRatio more of each. Text does not compress to a hundredth.
	freeRows   = 1 << 20
	freeValues = 1 << 22
	freeBytes  = 64 << 20
	maxRatio   = 1024
)

// budget is what reading the rows of a file once may take.
type budget struct {
	size     int64 // of the file, in bytes
	held     int64 // pages and dictionaries in memory, in bytes
	unpacked int64 // all pages so far, in bytes
}

// unpack counts n bytes that are about to be decompressed or copied.
func (b *budget) unpack(n int64) error {
	if b.unpacked += n; b.unpacked > freeBytes+maxRatio*b.size {
		return fmt.Errorf("unpacks to more than %d bytes, the most that is read of a file of %d bytes", freeBytes+maxRatio*b.size, b.size)
	}
	return nil
}

// hold counts n bytes that are about to be kept; they are negative when they
// are given up.
func (b *budget) hold(n int64) error {
	if b.held += n; b.held > maxHeld {
		return fmt.Errorf("pages and dictionaries of one row group take %d bytes at a time, more than %d; read fewer columns, or write the file with smaller pages", b.held, int64(maxHeld))
	}
	return nil
}

// checkCounts refuses a footer that claims more rows, values or bytes than a
// file of that size can honestly have.
func checkCounts(m *format.FileMetaData, size int64) error {
	var rows, bytes int64
	values := map[int]int64{} // by column
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > freeRows+maxRatio*size-rows {
			return fmt.Errorf("announces %d rows in row group %d; in a file of %d bytes at most %d are expected", g.NumRows, i, size, freeRows+maxRatio*size)
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
		return fmt.Errorf("announces %d rows, its row groups have %d", m.NumRows, rows)
	}
	return nil
}

// checkFooter refuses a file whose footer could not be what it says.
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
