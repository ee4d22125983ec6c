package parquet

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	pq "github.com/parquet-go/parquet-go"

	"barka/internal/badinput"
)

// File is an open Parquet file of any origin.
type File struct {
	path    string
	f       *os.File
	size    int64
	pf      *pq.File
	columns []*node
}

// Column is a top-level column of a file.
type Column struct {
	Name string
	Type string // as Parquet's own schema language spells it
}

// Open opens the file at path and checks its footer; pages are checked when
// they are read. Errors about the file's content are badinput errors.
func Open(path string) (*File, error) {
	f, err := badinput.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	file := &File{path: path, f: f}
	if err := file.open(); err != nil {
		f.Close()
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	return file, nil
}

func (f *File) open() error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	f.size = info.Size()
	if err := checkFooter(f.f, f.size); err != nil {
		return err
	}
	return guard(func() (err error) {
		f.pf, err = pq.OpenFile(f.f, f.size, pq.SkipPageIndex(true), pq.SkipBloomFilters(true), pq.ReadBufferSize(64<<10))
		if err != nil {
			return err
		}
		if err := checkCounts(f.pf.Metadata(), f.size); err != nil {
			return err
		}
		leaves := 0
		if len(f.pf.Root().Columns()) == 0 {
			return errors.New("has no columns")
		}
		for _, c := range f.pf.Root().Columns() {
			n, err := newNode(c, &leaves, 0)
			if err != nil {
				return fmt.Errorf("column %q: %w", c.Name(), err)
			}
			f.columns = append(f.columns, n)
		}
		return nil
	})
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// NumRows returns the number of rows that the footer states.
func (f *File) NumRows() int64 { return f.pf.NumRows() }

// Columns lists the top-level columns in the file's order.
func (f *File) Columns() []Column {
	columns := make([]Column, len(f.columns))
	for i, n := range f.columns {
		columns[i] = Column{Name: n.name, Type: n.describe()}
	}
	return columns
}

// Rows reads the rows as maps from column name to value. If column names are
// given, only those columns are read. The iteration ends at the first error.
//
// Values are nil, bool, int64, uint64 (above the range of int64), float64,
// string, []byte (binary columns that are not marked as text), []any for lists,
// and map[string]any for structs and for maps with text keys. Other maps are
// []any of {key, value}. Dates and times are the integers that the file stores.
func (f *File) Rows(columns ...string) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		selected, err := f.selectColumns(columns)
		if err != nil {
			yield(nil, err)
			return
		}
		var row int64
		fail := func(err error) {
			yield(nil, badinput.Errorf("%s: row %d: %w", f.path, row+1, err))
		}
		groups, budget := f.pf.Metadata().RowGroups, &budget{size: f.size}
		for i := range groups {
			rows := groups[i].NumRows
			if rows == 0 { // its column chunks need not exist
				continue
			}
			g, err := f.openGroup(&groups[i], selected, budget)
			if err != nil {
				fail(err)
				return
			}
			for range rows {
				m, err := g.row()
				if err != nil {
					fail(err)
					return
				}
				row++
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

func (f *File) selectColumns(names []string) ([]*node, error) {
	if len(names) == 0 {
		return f.columns, nil
	}
	var selected []*node
	for _, name := range names {
		i := slices.IndexFunc(f.columns, func(n *node) bool { return n.name == name })
		if i < 0 {
			return nil, badinput.Errorf("%s: has no column %q; its columns are %s", f.path, name, f.columnNames())
		}
		selected = append(selected, f.columns[i])
	}
	return selected, nil
}

func (f *File) columnNames() string {
	var names []string
	for _, n := range f.columns {
		names = append(names, n.name)
	}
	if len(names) > 30 {
		names = append(names[:30], fmt.Sprintf("… (%d in all)", len(f.columns)))
	}
	return strings.Join(names, ", ")
}

// guard runs work in the library and turns its panics into errors about the
// file. The library panics on input that it does not expect.
func guard(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged or unsupported: %v", p)
		}
	}()
	return work()
}
