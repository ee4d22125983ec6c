package parquet

import (
	"encoding/json"
	"io"
	"iter"
	"reflect"

	pq "github.com/parquet-go/parquet-go"

	"barka/internal/badinput"
)

// Read reads the rows of the file at path as values of T, which is a struct or
// map[string]any. Columns meet fields by the `parquet` tag if the file's schema
// is just T's (as in files that Writer wrote), otherwise by the `json` tag, as
// if each row were a JSON object: columns without a field are left out, fields
// without a column stay zero. A file that shares no column with T is an error.
func Read[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f, err := Open(path)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		defer f.Close()
		for row, err := range rowsOf[T](f) {
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func rowsOf[T any](f *File) iter.Seq2[T, error] {
	t := reflect.TypeFor[T]()
	if t == reflect.TypeFor[map[string]any]() {
		return any(f.Rows()).(iter.Seq2[T, error])
	}
	if t.Kind() != reflect.Struct {
		return failed[T](badinput.Errorf("%s: rows cannot be read into %v", f.path, t))
	}
	if f.hasSchemaOf(t) {
		return directRows[T](f)
	}
	var columns []string
	for i := range t.NumField() {
		name := jsonName(t.Field(i))
		for _, c := range f.columns {
			if c.name == name {
				columns = append(columns, name)
			}
		}
	}
	if len(columns) == 0 {
		return failed[T](badinput.Errorf("%s: holds no rows of the kind %s: none of its columns (%s) is a field of it",
			f.path, t.Name(), f.columnNames()))
	}
	return convertedRows[T](f, columns)
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

func jsonName(field reflect.StructField) string {
	tag := field.Tag.Get("json")
	for i := range len(tag) {
		if tag[i] == ',' {
			tag = tag[:i]
			break
		}
	}
	if tag == "" {
		return field.Name
	}
	return tag
}

func (f *File) hasSchemaOf(t reflect.Type) (same bool) {
	err := guard(func() error {
		same = pq.EqualNodes(pq.SchemaOf(reflect.New(t).Interface()), f.pf.Schema())
		return nil
	})
	return err == nil && same
}

// directRows lets the library fill the structs.
func directRows[T any](f *File) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		var row int64
		fail := func(err error) { yield(zero, badinput.Errorf("%s: after row %d: %w", f.path, row, err)) }
		leaves := make([]int, 0, 16)
		for _, n := range f.columns {
			for i := n.first; i < n.last; i++ {
				leaves = append(leaves, i)
			}
		}
		for _, group := range f.pf.RowGroups() {
			if group.NumRows() == 0 {
				continue
			}
			if err := f.checkGroup(group, leaves); err != nil {
				fail(err)
				return
			}
			var r *pq.GenericReader[T]
			if err := guard(func() error { r = pq.NewGenericRowGroupReader[T](group); return nil }); err != nil {
				fail(err)
				return
			}
			for left := group.NumRows(); left > 0; {
				var buf [64]T
				var n int
				err := guard(func() (err error) { n, err = r.Read(buf[:]); return err })
				if n == 0 && (err == nil || err == io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				if err != nil && err != io.EOF {
					r.Close()
					fail(err)
					return
				}
				for i := range n {
					row++
					if !yield(buf[i], nil) {
						r.Close()
						return
					}
				}
				left -= int64(n)
			}
			r.Close()
		}
	}
}

// convertedRows goes by way of JSON, whose rules for mismatches then hold for
// both kinds of files.
func convertedRows[T any](f *File, columns []string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var row int64
		for m, err := range f.Rows(columns...) {
			var v T
			if err != nil {
				yield(v, err)
				return
			}
			row++
			data, err := json.Marshal(m)
			if err == nil {
				err = json.Unmarshal(data, &v)
			}
			if err != nil {
				err = badinput.Errorf("%s: row %d: %w", f.path, row, err)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
