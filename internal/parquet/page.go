package parquet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// Pages are decoded here and not by the library, for the reasons in the package
// comment. Values are decoded one by one from the decompressed page, so that no
// count in the file determines how much memory is reserved.

// pageHeader is a page's header as in parquet.thrift.
type pageHeader struct {
	kind                     format.PageType
	uncompressed, compressed int64
	crc                      int64
	hasCRC                   bool
	values                   int64
	encoding                 format.Encoding
	levelEncodings           [2]format.Encoding // repetition, definition; version 1
	levelBytes               [2]int64           // version 2
	plain                    bool               // version 2, not compressed
}

func (w *walker) pageHeader() (h pageHeader, err error) {
	w.structs = maxStructs
	h.levelEncodings = [2]format.Encoding{format.RLE, format.RLE}
	err = w.structure(0, 0, func(path int, v int64) {
		switch path {
		case 1:
			h.kind = format.PageType(v)
		case 2:
			h.uncompressed = v
		case 3:
			h.compressed = v
		case 4:
			h.crc, h.hasCRC = v, true
		case 5<<16 | 1, 7<<16 | 1, 8<<16 | 1:
			h.values = v
		case 5<<16 | 2, 7<<16 | 2, 8<<16 | 4:
			h.encoding = format.Encoding(v)
		case 5<<16 | 3:
			h.levelEncodings[1] = format.Encoding(v)
		case 5<<16 | 4:
			h.levelEncodings[0] = format.Encoding(v)
		case 8<<16 | 5:
			h.levelBytes[1] = v
		case 8<<16 | 6:
			h.levelBytes[0] = v
		case 8<<16 | 7:
			h.plain = v == 0
		}
	})
	switch {
	case err != nil:
		return h, fmt.Errorf("page header: %w", err)
	case h.compressed < 0 || h.compressed > w.left || h.compressed > maxPage:
		err = fmt.Errorf("page of %d bytes where %d are left (limit: %d)", h.compressed, w.left, maxPage)
	case h.uncompressed < 0 || h.uncompressed > maxPage:
		err = fmt.Errorf("page that unpacks to %d bytes (limit: %d)", h.uncompressed, maxPage)
	case h.values < 0:
		err = fmt.Errorf("page of %d values", h.values)
	}
	return h, err
}

// chunkReader reads the entries of a column chunk one by one.
type chunkReader struct {
	leaf   *node
	codec  format.CompressionCodec
	w      walker
	left   int64 // values of the chunk not yet read
	inPage int64 // values of this page not yet read
	levels [2]*hybrid
	values decoder
	dict   []any
	budget *budget
	held   int64 // bytes of this page
}

// openChunk returns a reader of the column chunk c of a leaf.
func openChunk(r io.ReaderAt, budget *budget, leaf *node, c *format.ColumnChunk) (*chunkReader, error) {
	m, size := &c.MetaData, budget.size
	start := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if start < 4 || m.TotalCompressedSize < 0 || start > size-m.TotalCompressedSize {
		return nil, fmt.Errorf("column chunk of %d bytes at offset %d in a file of %d", m.TotalCompressedSize, start, size)
	}
	if c.FilePath != "" {
		return nil, fmt.Errorf("its data are in another file, %q", c.FilePath)
	}
	section := io.NewSectionReader(r, start, m.TotalCompressedSize)
	return &chunkReader{
		leaf: leaf, codec: m.Codec, left: m.NumValues, budget: budget,
		w: walker{r: bufio.NewReaderSize(section, 4<<10), left: m.TotalCompressedSize}, // thousands may be open
	}, nil
}

// next returns the next entry; io.EOF after the last.
func (c *chunkReader) next() (e entry, err error) {
	for c.inPage == 0 {
		if c.left <= 0 {
			return e, io.EOF
		}
		if err := c.page(); err != nil {
			return e, err
		}
	}
	c.inPage--
	c.left--
	for i, most := range [2]int{c.leaf.rep, c.leaf.def} {
		if most == 0 {
			continue
		}
		level, err := c.levels[i].next()
		if err != nil {
			return e, err
		}
		if int(level) > most {
			return e, errLevels
		}
		if i == 0 {
			e.rep = int(level)
		} else {
			e.def = int(level)
		}
	}
	if e.def == c.leaf.def {
		e.value, err = c.values.next()
	}
	return e, err
}

// page reads the next page.
func (c *chunkReader) page() error {
	h, err := c.w.pageHeader()
	if err != nil {
		return err
	}
	// A data page replaces the previous one in memory. dictionaryPage counts
	// the values of a dictionary.
	c.values, c.levels = nil, [2]*hybrid{}
	c.held, err = h.compressed+h.uncompressed, c.budget.hold(h.compressed+h.uncompressed-c.held)
	if err == nil {
		err = c.budget.unpack(h.uncompressed)
	}
	if err != nil {
		return err
	}
	data := make([]byte, h.compressed)
	c.w.left -= h.compressed
	if _, err := io.ReadFull(c.w.r, data); err != nil {
		return err
	}
	if h.hasCRC && uint32(h.crc) != crc32.ChecksumIEEE(data) {
		return errors.New("page does not match its checksum")
	}
	switch h.kind {
	case format.DictionaryPage:
		return c.dictionaryPage(h, data)
	case format.DataPage:
		err = c.pageV1(h, data)
	case format.DataPageV2:
		err = c.pageV2(h, data)
	default: // index pages are not needed
		return nil
	}
	c.inPage = h.values
	return err
}

func (c *chunkReader) dictionaryPage(h pageHeader, data []byte) error {
	if c.dict != nil {
		return errors.New("second dictionary in a column chunk")
	}
	data, err := unpack(c.codec, data, h.uncompressed)
	if err != nil {
		return err
	}
	values, err := newPlain(c.leaf, data)
	if err != nil {
		return err
	}
	if h.values > int64(len(data)) || h.values > maxDictionary { // only booleans take less than a byte
		return fmt.Errorf("dictionary of %d values in %d bytes (limit: %d values)", h.values, len(data), maxDictionary)
	}
	const value = 48 // bytes that a value takes besides its text
	if err := c.budget.hold(value*h.values + int64(len(data))); err != nil {
		return err
	}
	c.dict = make([]any, h.values)
	for i := range c.dict {
		if c.dict[i], err = values.next(); err != nil {
			return fmt.Errorf("dictionary: %w", err)
		}
	}
	return nil
}

func (c *chunkReader) pageV1(h pageHeader, data []byte) error {
	data, err := unpack(c.codec, data, h.uncompressed)
	if err != nil {
		return err
	}
	for i, most := range [2]int{c.leaf.rep, c.leaf.def} {
		if most == 0 {
			continue
		}
		if h.levelEncodings[i] != format.RLE {
			return fmt.Errorf("levels in encoding %s, which is not supported", h.levelEncodings[i])
		}
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return errShort
		}
		n := 4 + int(binary.LittleEndian.Uint32(data))
		c.levels[i] = &hybrid{data: data[4:n], width: bits.Len(uint(most))}
		data = data[n:]
	}
	return c.setValues(h.encoding, data)
}

func (c *chunkReader) pageV2(h pageHeader, data []byte) error {
	for i, most := range [2]int{c.leaf.rep, c.leaf.def} {
		n := h.levelBytes[i]
		if n < 0 || n > int64(len(data)) {
			return fmt.Errorf("levels of %d bytes where %d are left", n, len(data))
		}
		c.levels[i] = &hybrid{data: data[:n], width: bits.Len(uint(most))}
		data = data[n:]
	}
	if !h.plain && len(data) > 0 {
		var err error
		if data, err = unpack(c.codec, data, h.uncompressed-h.levelBytes[0]-h.levelBytes[1]); err != nil {
			return err
		}
	}
	return c.setValues(h.encoding, data)
}

// setValues chooses the decoder of a data page.
func (c *chunkReader) setValues(encoding format.Encoding, data []byte) (err error) {
	kind := c.leaf.column.Type().Kind()
	switch encoding {
	case format.Plain:
		c.values, err = newPlain(c.leaf, data)
	case format.PlainDictionary, format.RLEDictionary:
		width := 0
		if len(data) > 0 {
			width, data = int(data[0]), data[1:]
		}
		if width > 32 {
			return fmt.Errorf("dictionary indices of %d bits", width)
		}
		c.values = &indexed{c.dict, hybrid{data: data, width: width}}
	case format.RLE:
		if kind != pq.Boolean || len(data) < 4 {
			return fmt.Errorf("encoding RLE for values of type %s", c.leaf.column.Type())
		}
		c.values = &booleans{hybrid{data: data[4:], width: 1}}
	case format.DeltaBinaryPacked:
		if kind != pq.Int32 && kind != pq.Int64 {
			return fmt.Errorf("encoding %s for values of type %s", encoding, c.leaf.column.Type())
		}
		var d *delta
		if d, err = newDelta(data, kind == pq.Int32); err == nil {
			c.values = &integers{d, c.leaf.number}
		}
	case format.DeltaLengthByteArray:
		c.values, err = newDeltaLengths(c.leaf, data)
	case format.DeltaByteArray:
		c.values, err = newDeltaStrings(c.leaf, data, c.budget)
	case format.ByteStreamSplit:
		c.values, err = newStreams(c.leaf, data)
	default:
		err = fmt.Errorf("encoding %s is not supported", encoding)
	}
	return err
}

// zstdDecoders are used for one page after another: a decoder's tables and
// buffers take longer to make than most pages take to decompress.
var zstdDecoders = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxPage))
	if err != nil {
		panic(err) // only the options can be wrong
	}
	return z
}}

// unpack decompresses data to exactly size bytes. Memory is reserved as the
// data turn out to need it, at first no more than 16 times their length.
func unpack(codec format.CompressionCodec, data []byte, size int64) ([]byte, error) {
	var r io.Reader
	switch codec {
	case format.Uncompressed:
		return data, nil
	case format.Snappy:
		// An element of a snappy block stands for at most 64 bytes.
		if n, err := snappy.DecodedLen(data); err != nil || int64(n) != size || size > 64*int64(len(data)) {
			return nil, fmt.Errorf("snappy block of %d bytes where %d are expected (%v)", n, size, err)
		}
		return snappy.Decode(nil, data)
	case format.Lz4Raw:
		if size > 255*int64(len(data)) {
			return nil, fmt.Errorf("lz4 block of %d bytes for %d", len(data), size)
		}
		out := make([]byte, size)
		n, err := lz4.UncompressBlock(data, out)
		if err == nil && int64(n) != size {
			err = fmt.Errorf("lz4 block of %d bytes where %d are expected", n, size)
		}
		return out, err
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = z
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(data))
	case format.Zstd:
		z := zstdDecoders.Get().(*zstd.Decoder)
		defer func() {
			z.Reset(nil) // it keeps no reference to data
			zstdDecoders.Put(z)
		}()
		if err := z.Reset(bytes.NewReader(data)); err != nil {
			return nil, err
		}
		r = z
	default:
		return nil, fmt.Errorf("compression %s is not supported", codec)
	}
	out := bytes.NewBuffer(make([]byte, 0, min(size, 64<<10+16*int64(len(data)))+bytes.MinRead))
	if _, err := out.ReadFrom(io.LimitReader(r, size+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", codec, err)
	}
	if int64(out.Len()) != size {
		return nil, fmt.Errorf("%s page does not unpack to the %d bytes it announces", codec, size)
	}
	return out.Bytes(), nil
}
