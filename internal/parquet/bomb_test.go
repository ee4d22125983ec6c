package parquet

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"barka/internal/badinput"
	"barka/internal/resident"
)

// bomb is a Parquet file made by hand: pages are its data, and the footer
// claims what it likes.
type bomb struct {
	pages     []byte
	columns   int // all of the same pages
	groups    int // all of the same pages
	rows      int64
	values    int64
	kind      format.Type
	list      bool  // the columns are repeated
	offset    int64 // of a dictionary, 0 without
	codec     format.CompressionCodec
	separated bool // the chunks claim to hold no bytes, so that they do not overlap
}

func (b bomb) write(t *testing.T, path string) {
	t.Helper()
	m := format.FileMetaData{Version: 1, NumRows: b.rows * int64(b.groups)}
	m.Schema = []format.SchemaElement{{Name: "root", NumChildren: thrift.New(int32(b.columns))}}
	repetition := format.Required
	if b.list {
		repetition = format.Repeated
	}
	for range b.columns {
		name := string(rune('a'+len(m.Schema)%26)) + strings.Repeat("x", len(m.Schema)/26)
		e := format.SchemaElement{Name: name, Type: thrift.New(b.kind), RepetitionType: thrift.New(repetition)}
		if b.kind == format.ByteArray {
			e.ConvertedType = thrift.New(deprecated.UTF8)
		}
		m.Schema = append(m.Schema, e)
	}
	size := int64(len(b.pages))
	if b.separated {
		size = 0
	}
	for range b.groups {
		g := format.RowGroup{NumRows: b.rows}
		for i := range b.columns {
			g.Columns = append(g.Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{
				Type: b.kind, Encoding: []format.Encoding{format.Plain}, PathInSchema: []string{m.Schema[1+i].Name}, Codec: b.codec,
				NumValues: b.values, TotalCompressedSize: size, TotalUncompressedSize: size,
				DataPageOffset: 4, DictionaryPageOffset: b.offset,
			}})
		}
		m.RowGroups = append(m.RowGroups, g)
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &m)
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte("PAR1"), b.pages...)
	out = append(out, footer...)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), "PAR1"...)
	if err := os.WriteFile(path, out, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(out))
}

func page(t *testing.T, h format.PageHeader, data []byte) []byte {
	t.Helper()
	h.CompressedPageSize = int32(len(data))
	if h.UncompressedPageSize == 0 {
		h.UncompressedPageSize = int32(len(data))
	}
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	if err != nil {
		t.Fatal(err)
	}
	return append(head, data...)
}

// sameValues is a page of n times the entry 0 of a dictionary, in a few bytes.
func sameValues(t *testing.T, n uint64, list bool) []byte {
	return longRuns(t, min(n, 1<<31-1), n, list)
}

// longRuns is a page of so many values with runs of n of them.
func longRuns(t *testing.T, values, n uint64, list bool) []byte {
	run := append(binary.AppendUvarint(nil, n<<1), 0)
	var data []byte
	if list { // each is the next element of the row's list
		levels := append(binary.AppendUvarint(nil, n<<1), 1)
		for _, level := range [][]byte{append([]byte{1 << 1, 0}, levels...), levels} { // of repetition, of definition
			data = append(binary.LittleEndian.AppendUint32(data, uint32(len(level))), level...)
		}
	}
	return dataPage(t, int(values), 0, format.RLEDictionary, append(append(data, 1), run...))
}

// dictionary is a page of values; zstd compresses it if compress is set.
func dictionary(t *testing.T, values int, data []byte, compress bool) []byte {
	h := format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: int32(len(data)),
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(values), Encoding: format.Plain})}
	if compress {
		var out bytes.Buffer
		z, _ := zstd.NewWriter(&out)
		z.Write(data)
		z.Close()
		data = out.Bytes()
	}
	return page(t, h, data)
}

// dataPage is a page of values; size is what it claims to unpack to, 0 for the
// length of data.
func dataPage(t *testing.T, values, size int, encoding format.Encoding, data []byte) []byte {
	return page(t, format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(size),
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: int32(values), Encoding: encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})}, data)
}

// zeros is n zero bytes, compressed.
func zeros(t *testing.T, n int) []byte {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); n > 0; n -= len(block) {
		z.Write(block)
	}
	z.Close()
	return out.Bytes()
}

// bombs are files whose few bytes stand for very much, and the errors that
// refuse them.
func bombs(t *testing.T) []struct {
	name string
	bomb bomb
	want string
} {
	one := dictionary(t, 1, []byte{0, 0, 0, 0}, false)
	empty := make([]byte, 60<<20) // empty strings, of four bytes each
	claimed := page(t, format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: 200 << 20,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: 1})}, make([]byte, 100))
	const many = 1<<31 - 1
	return []struct {
		name string
		bomb bomb
		want string
	}{
		{"rows", bomb{rows: 1e12, values: 1e12, columns: 1, groups: 1, kind: format.Int32,
			pages: append(one, sameValues(t, 1e12, false)...), offset: 4},
			"announces 1000000000000 rows in row group 0; in a file of"},
		{"rows of many groups", bomb{rows: 1 << 20, values: 1 << 20, columns: 1, groups: 1000, kind: format.Int32, separated: true},
			"in a file of 43044 bytes at most 45125632 are expected"},
		{"values", bomb{rows: 1, values: 1e12, columns: 1, groups: 1, kind: format.Int32, list: true,
			pages: append(one, sameValues(t, 1e12, true)...), offset: 4},
			"announces 1000000000000 values in column 0"},
		{"one long list", bomb{rows: 1, values: 4e6, columns: 1, groups: 1, kind: format.Int32, list: true,
			pages: append(one, sameValues(t, 4e6, true)...), offset: 4},
			"a row of more than 1048576 values"},
		{"shared chunks", bomb{rows: 100, values: 100, columns: 100, groups: 100, kind: format.Int32,
			pages: append(one, sameValues(t, 100, false)...), offset: 4},
			"column chunks of more than the file's"},
		{"dictionary of empty strings", bomb{rows: 1, values: 1, columns: 1, groups: 1, kind: format.ByteArray, codec: format.Zstd,
			pages: dictionary(t, len(empty)/4, empty, true), offset: 4},
			"dictionary of 15728640 values"},
		{"dictionary of numbers", bomb{rows: 1, values: 1, columns: 1, groups: 1, kind: format.Int32, codec: format.Zstd,
			pages: dictionary(t, 1<<20, empty[:4<<20], true), offset: 4},
			"unexpected EOF"},
		{"dictionary of gigabytes", bomb{rows: 1, values: 1, columns: 1, groups: 1, kind: format.Int32, codec: format.Zstd,
			pages: claimed, offset: 4},
			"unpacks to more than"},
		{"a run of levels", bomb{rows: 2, values: 100, columns: 1, groups: 1, kind: format.Int32, list: true,
			pages: append(one, longRuns(t, 100, many, true)...), offset: 4},
			"fewer rows than announced"},
		{"differences", bomb{rows: 2, values: 2, columns: 1, groups: 1, kind: format.Int64,
			pages: dataPage(t, 2, 0, format.DeltaBinaryPacked, append(binary.AppendUvarint([]byte{128, 1, 4}, many), 0))},
			"fewer bytes than values need"},
		{"more than announced", bomb{rows: 2, values: 2, columns: 1, groups: 1, kind: format.Int64, codec: format.Zstd,
			pages: dataPage(t, 2, 16, format.Plain, zeros(t, 1<<30))},
			"does not unpack to the 16 bytes it announces"},
	}
}

// TestBombs: each bomb is refused, or read in few steps and little memory.
func TestBombs(t *testing.T) {
	const most = 320 << 20 // bytes of memory
	for _, c := range bombs(t) {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bomb.parquet")
			c.bomb.write(t, path)
			var err error
			rows := 0
			grown := resident.Growth(func() {
				for _, e := range Read[map[string]any](path) {
					if err = e; e == nil {
						rows++
					}
				}
			})
			t.Logf("%d rows, %d MiB, %v", rows, grown>>20, err)
			if err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if grown > most {
				t.Errorf("took %d MiB", grown>>20)
			}
		})
	}
}

// TestFooterOfEmptyStructures: a byte of a footer can be a structure of 560
// bytes.
func TestFooterOfEmptyStructures(t *testing.T) {
	const groups = 15 << 20
	footer := []byte{4<<4 | 9, 15<<4 | 12} // field 4, a list of structures
	footer = binary.AppendUvarint(footer, groups)
	footer = append(append(footer, make([]byte, groups)...), 0)
	file := append([]byte("PAR1"), footer...)
	file = append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), "PAR1"...)
	path := filepath.Join(t.TempDir(), "x.parquet")
	os.WriteFile(path, file, 0o666)
	var err error
	grown := resident.Growth(func() { _, err = Open(path) })
	if !badinput.Is(err) || !strings.Contains(err.Error(), "more than 524288 structures") || grown > 64<<20 {
		t.Errorf("%v and %d MiB", err, grown>>20)
	}
}

// TestConstantColumns: honest files of few bytes and many rows are read.
func TestConstantColumns(t *testing.T) {
	type constant struct {
		Label int64 `json:"label" parquet:"label,dict"`
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := WriteFile(path, make([]constant, 300_000)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range Read[constant](path) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if info, _ := os.Stat(path); n != 300_000 {
		t.Errorf("%d rows of a file of %d bytes", n, info.Size())
	}
}
