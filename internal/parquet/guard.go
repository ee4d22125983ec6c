package parquet

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// Limits of what is read. Files of the hub stay far below them: their pages
// are of a megabyte and their footers of some.
const (
	maxFooter     = 32 << 20  // bytes
	maxPage       = 512 << 20 // bytes, before and after compression
	maxPageValues = 1 << 25
	maxRowValues  = 1 << 22 // values of one column in one row
	maxColumns    = 10_000
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

// pageHeader is what of a page's header decides how much memory it takes.
type pageHeader struct {
	kind                     int64 // format.PageType
	uncompressed, compressed int64
	values, nulls            int64
	levels                   int64 // bytes of uncompressed levels in a page of version 2
	plain                    bool  // page of version 2 that is not compressed
}

func (w *walker) pageHeader() (h pageHeader, err error) {
	var def, rep int64
	err = w.structure(0, 0, func(path int, v int64) {
		switch path {
		case 1:
			h.kind = v
		case 2:
			h.uncompressed = v
		case 3:
			h.compressed = v
		case 5<<16 | 1, 7<<16 | 1, 8<<16 | 1:
			h.values = v
		case 8<<16 | 2:
			h.nulls = v
		case 8<<16 | 5:
			def = v
		case 8<<16 | 6:
			rep = v
		case 8<<16 | 7:
			h.plain = v == 0
		}
	})
	if err == nil && (def < 0 || rep < 0 || def > maxPage || rep > maxPage) {
		err = fmt.Errorf("%w: levels of %d and %d bytes", errThrift, def, rep)
	}
	h.levels = def + rep
	return h, err
}

// checkChunk walks the page headers of a column chunk and refuses sizes that
// the chunk cannot hold or that pass the limits, and pages that would unpack
// to far more than they announce.
func checkChunk(r io.ReaderAt, fileSize int64, c *format.ColumnChunk) error {
	m := &c.MetaData
	start := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		start = m.DictionaryPageOffset
	}
	if start < 4 || m.TotalCompressedSize < 0 || start > fileSize-m.TotalCompressedSize {
		return fmt.Errorf("column chunk of %d bytes at offset %d in a file of %d", m.TotalCompressedSize, start, fileSize)
	}
	if d := m.DataPageOffset; d < start || d > start+m.TotalCompressedSize {
		return fmt.Errorf("first data page at offset %d, outside of its column chunk at %d", d, start)
	}
	section := io.NewSectionReader(r, start, m.TotalCompressedSize)
	w := walker{r: bufio.NewReader(section), left: m.TotalCompressedSize}
	var values int64
	for page := 0; w.left > 0 && values < m.NumValues; page++ {
		h, err := w.pageHeader()
		if err != nil {
			return fmt.Errorf("header of page %d: %w", page, err)
		}
		if err := w.checkPage(h, m.Codec); err != nil {
			return fmt.Errorf("page %d: %w", page, err)
		}
		if h.kind != int64(format.DictionaryPage) {
			values += h.values
		}
	}
	return nil
}

// checkPage judges the page behind header h and moves past it.
func (w *walker) checkPage(h pageHeader, codec format.CompressionCodec) error {
	switch {
	case h.compressed < 0 || h.compressed > w.left || h.compressed > maxPage:
		return fmt.Errorf("announces %d bytes, %d are left (limit: %d)", h.compressed, w.left, maxPage)
	case h.uncompressed < 0 || h.uncompressed > maxPage:
		return fmt.Errorf("announces %d bytes after decompression (limit: %d)", h.uncompressed, maxPage)
	case h.values < 0 || h.values > maxPageValues || h.nulls < 0 || h.nulls > h.values:
		return fmt.Errorf("announces %d values, %d of them null (limit: %d)", h.values, h.nulls, maxPageValues)
	case h.levels > h.compressed:
		return fmt.Errorf("announces levels of %d bytes in a page of %d", h.levels, h.compressed)
	}
	if codec == format.Uncompressed || h.plain {
		return w.skip(h.compressed)
	}
	if err := w.skip(h.levels); err != nil {
		return err
	}
	data := make([]byte, h.compressed-h.levels)
	w.left -= int64(len(data))
	if _, err := io.ReadFull(w.r, data); err != nil {
		return err
	}
	if limit := max(2*h.uncompressed, 64<<20); unpackedBound(codec, data, h.uncompressed, limit) > limit {
		return fmt.Errorf("unpacks to far more than the %d bytes it announces", h.uncompressed)
	}
	return nil
}

// unpackedBound bounds what data unpacks to. Codecs whose data do not say so
// cheaply are unpacked, up to the limit, and thrown away. What is damaged is
// left for the decoder to report, except with LZ4, whose decoder in the library
// takes any damage for a short buffer and doubles that for ever.
func unpackedBound(codec format.CompressionCodec, data []byte, announced, limit int64) int64 {
	var r io.Reader
	switch codec {
	case format.Snappy: // the block begins with its length
		n, _ := binary.Uvarint(data)
		return int64(min(n, 1<<62))
	case format.Lz4Raw:
		if _, err := lz4.UncompressBlock(data, make([]byte, announced)); err != nil {
			return limit + 1
		}
		return announced
	case format.Zstd:
		return zstdBound(data)
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return 0
		}
		r = z
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(data))
	default:
		return 0
	}
	n, _ := io.Copy(io.Discard, io.LimitReader(r, limit+1))
	return n
}

// zstdBound adds up the blocks of the frames in data (RFC 8878, section 3.1.1):
// a compressed block unpacks to 128 KiB at most, the others say to how much. A
// frame that states its size never unpacks to more.
func zstdBound(data []byte) int64 {
	var total int64
	for len(data) > 0 {
		var h zstd.Header
		if h.Decode(data) != nil {
			return total
		}
		if h.Skippable {
			n := int64(h.HeaderSize) + int64(h.SkippableSize)
			data = data[min(n, int64(len(data))):]
			continue
		}
		data = data[min(h.HeaderSize, len(data)):]
		var frame int64
		for last := false; !last && len(data) >= 3; {
			head := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
			size, content := head>>3, head>>3
			switch head >> 1 & 3 {
			case 1: // one byte, repeated
				content = 1
			case 2:
				size = 128 << 10
			}
			frame += int64(size)
			last = head&1 == 1
			data = data[min(3+content, len(data)):]
		}
		if h.HasCheckSum {
			data = data[min(4, len(data)):]
		}
		if h.HasFCS {
			frame = min(frame, int64(min(h.FrameContentSize, 1<<62)))
		}
		total += frame
	}
	return total
}
