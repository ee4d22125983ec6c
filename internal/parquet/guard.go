package parquet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Limits of what is read. Files of the hub stay far below them: their pages
// are of a megabyte and their footers of some.
const (
	maxFooter    = 32 << 20  // bytes
	maxPage      = 512 << 20 // bytes, before and after compression
	maxRowValues = 1 << 22   // values of one column in one row
	maxRowBytes  = 512 << 20 // their text
	maxColumns   = 10_000
)

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
	w := walker{r: bufio.NewReader(io.NewSectionReader(r, size-8-n, n)), left: n}
	if err := w.structure(0, 0, nil); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	return nil
}
