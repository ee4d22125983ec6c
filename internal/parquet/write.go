package parquet

import (
	"fmt"
	"io"
	"os"
	"reflect"

	pq "github.com/parquet-go/parquet-go"
)

// RowGroupRows is the number of rows in a row group of a written file.
const RowGroupRows = 10_000

// Writer writes rows of one struct type. The names and layout of the columns
// come from the fields' `parquet` tags. Lists need the tag's `list` option, so
// that other readers see list<struct<…>>.
type Writer struct {
	rowType reflect.Type
	w       *pq.Writer
	rows    int64
}

// NewWriter starts a file of rows of the struct type rowType. The bytes written
// to w depend on the rows alone.
func NewWriter(w io.Writer, rowType reflect.Type) (*Writer, error) {
	return newWriter(w, rowType, "")
}

// newWriter is NewWriter with a name for the root of the schema, which is
// otherwise the type's.
func newWriter(w io.Writer, rowType reflect.Type, name string) (pw *Writer, err error) {
	if rowType.Kind() != reflect.Struct {
		return nil, fmt.Errorf("parquet: rows of type %v: only structs can be written", rowType)
	}
	// The library reports types it cannot map by panicking.
	defer recovered(&err, "row type "+rowType.String())
	schema := pq.SchemaOf(reflect.New(rowType).Interface())
	if name != "" {
		schema = pq.NewSchema(name, schema)
	}
	out := pq.NewWriter(w, schema,
		pq.Compression(zstdCodec),
		pq.MaxRowsPerRowGroup(RowGroupRows),
		pq.CreatedBy("barka", "1.0.0", "1"),
	)
	return &Writer{rowType: rowType, w: out}, nil
}

// Write appends a row: a value of the row type.
func (w *Writer) Write(row any) (err error) {
	if t := reflect.TypeOf(row); t != w.rowType {
		return fmt.Errorf("parquet: row of type %v in a file of %v", t, w.rowType)
	}
	defer recovered(&err, "row")
	if err := w.w.Write(row); err != nil {
		return err
	}
	w.rows++
	return nil
}

// Rows returns the number of rows written so far.
func (w *Writer) Rows() int64 { return w.rows }

// Close writes the footer. It does not close the underlying writer.
func (w *Writer) Close() (err error) {
	defer recovered(&err, "footer")
	return w.w.Close()
}

// WriteFile writes rows to a file at path and replaces an existing one.
func WriteFile[T any](path string, rows []T) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w, err := NewWriter(f, reflect.TypeFor[T]())
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return w.Close()
}

// recovered turns a panic of the library into an error about what was written.
func recovered(err *error, what string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("parquet: %s: %v", what, p)
	}
}
