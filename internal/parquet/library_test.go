package parquet

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	pq "github.com/parquet-go/parquet-go"
)

// libraryChunk reads the entries of a column chunk with the library's page
// decoders, for comparison with chunkReader.
type libraryChunk struct {
	leaf   *node
	pages  pq.Pages
	values pq.ValueReader // of the current page
	ready  []pq.Value
	buf    [64]pq.Value
}

func openLibraryChunk(f *File, group int, leaf *node) *libraryChunk {
	return &libraryChunk{leaf: leaf, pages: f.pf.RowGroups()[group].ColumnChunks()[leaf.first].Pages()}
}

func (c *libraryChunk) next() (entry, error) {
	for len(c.ready) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return entry{}, err
			}
			c.values = page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.ready = c.buf[:n]
		if err == io.EOF {
			c.values = nil
		} else if err != nil {
			return entry{}, err
		}
	}
	v := c.ready[0]
	c.ready = c.ready[1:]
	e := entry{rep: v.RepetitionLevel(), def: v.DefinitionLevel()}
	if v.IsNull() {
		return e, nil
	}
	var err error
	switch v.Kind() {
	case pq.Boolean:
		e.value = v.Boolean()
	case pq.Int32:
		e.value, err = c.leaf.number(int64(v.Int32()))
	case pq.Int64:
		e.value, err = c.leaf.number(v.Int64())
	case pq.Float:
		e.value = float64(v.Float())
	case pq.Double:
		e.value = v.Double()
	default:
		e.value, err = c.leaf.bytes(v.ByteArray())
	}
	return e, err
}

// eachChunk visits the column chunks of f, opened in both ways.
func eachChunk(t testing.TB, f *File, visit func(ours *chunkReader, library *libraryChunk)) {
	t.Helper()
	budget := &budget{size: f.size}
	groups := f.pf.Metadata().RowGroups
	for i := range groups {
		if groups[i].NumRows == 0 { // its column chunks need not exist
			continue
		}
		for _, n := range f.columns {
			n.eachLeaf(func(leaf *node) {
				ours, err := openChunk(f.f, budget, leaf, &groups[i].Columns[leaf.first])
				if err != nil {
					t.Fatal(err)
				}
				visit(ours, openLibraryChunk(f, i, leaf))
			})
		}
		budget.held = 0
	}
}

func ownFile(t testing.TB, rows int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.parquet")
	if err := WriteFile(path, testRows(rows)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEntriesAsTheLibraryReads: for valid files, our page decoders give the
// values and levels that the library's give.
func TestEntriesAsTheLibraryReads(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.parquet")
	for _, path := range append(paths, ownFile(t, 3000)) {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		entries := 0
		eachChunk(t, f, func(ours *chunkReader, library *libraryChunk) {
			for {
				got, err := ours.next()
				want, libraryErr := library.next()
				if err != libraryErr { // io.EOF, or nil
					t.Fatalf("%s, column %q, entry %d: error %v, the library's is %v", path, ours.leaf.name, entries, err, libraryErr)
				}
				if err == io.EOF {
					break
				}
				if got.rep != want.rep || got.def != want.def || !cmp.Equal(got.value, want.value) {
					t.Fatalf("%s, column %q, entry %d: %+v, the library reads %+v", path, ours.leaf.name, entries, got, want)
				}
				entries++
			}
		})
		if empty := filepath.Base(path) == "empty.parquet"; empty != (entries == 0) {
			t.Errorf("%s: %d entries", path, entries)
		}
		f.Close()
	}
}

// BenchmarkColumns reads every column of a file, with our page decoders and
// with the library's. The package comment states the figures.
func BenchmarkColumns(b *testing.B) {
	f, err := Open(ownFile(b, 20_000))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	drain := func(b *testing.B, next func() (entry, error)) {
		for {
			if _, err := next(); err == io.EOF {
				return
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("barka", func(b *testing.B) {
		for b.Loop() {
			eachChunk(b, f, func(ours *chunkReader, _ *libraryChunk) { drain(b, ours.next) })
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			eachChunk(b, f, func(_ *chunkReader, library *libraryChunk) { drain(b, library.next) })
		}
	})
}
