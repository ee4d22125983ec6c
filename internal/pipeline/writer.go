package pipeline

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
)

const rejectedDir = "rejected"

// split is a table of the dataset in the making: its rows (name "") or those of
// a subdirectory.
type split struct {
	name  string
	table *table
	notes bool // its rows tell of other rows and are not counted
}

func (r *Run) newSplit(name string, rowType reflect.Type) (*split, error) {
	if err := checkRowType(rowType); err != nil {
		return nil, err
	}
	s := &split{name: name, table: newTable(filepath.Join(r.work.partial, finalName), name, rowType)}
	r.tables = append(r.tables, s)
	return s, nil
}

// Writer takes the rows of a stage that does not work record by record. An
// interrupted stage writes them again from the first.
type Writer[T any] struct {
	run   *Run
	split *split
}

// NewWriter makes the Writer of the dataset's rows. A Run has either Maps or
// one such Writer.
func NewWriter[T any](r *Run) (*Writer[T], error) { return newWriter[T](r, "") }

// NewSplit makes a Writer of rows in a subdirectory, such as validation, which
// Rows reads as a dataset of its own.
func NewSplit[T any](r *Run, name string) (*Writer[T], error) {
	if !validSplit(name) {
		return nil, fmt.Errorf("pipeline: split name %q", name)
	}
	return newWriter[T](r, name)
}

// NewNotes makes a Writer of rows in a subdirectory that tell of the dataset's
// rows: Rows reads them, and the manifest does not count them.
func NewNotes[T any](r *Run, name string) (*Writer[T], error) {
	w, err := NewSplit[T](r, name)
	if err == nil {
		w.split.notes = true
	}
	return w, err
}

func newWriter[T any](r *Run, name string) (*Writer[T], error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	for _, s := range r.tables {
		if s.name == name {
			return nil, fmt.Errorf("pipeline: a second writer of the same rows (split %q)", name)
		}
	}
	if name == "" && len(r.steps) > 0 {
		return nil, fmt.Errorf("pipeline: Map and Writer in one run")
	}
	s, err := r.newSplit(name, reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Writer[T]{r, s}, nil
}

// Write appends a row.
func (w *Writer[T]) Write(row T) error {
	if err := w.run.writable(); err != nil {
		return err
	}
	return w.split.table.write(reflect.ValueOf(row))
}

// Reject puts a row into rejected/. All rejected rows of a Run have one type.
func (w *Writer[T]) Reject(row any, why Reject) error {
	if err := w.run.writable(); err != nil {
		return err
	}
	return w.run.reject(reflect.ValueOf(row), why)
}

func (r *Run) reject(row reflect.Value, why Reject) error {
	if r.rejects == nil {
		t, err := newRejectTable(filepath.Join(r.work.partial, finalName), row.Type())
		if err != nil {
			return err
		}
		r.rejects = t
	}
	return r.rejects.write(row, why)
}

// rejectTable holds rejected rows: their own columns, then reason and detail.
// Rows whose type has no columns of its own stand as JSON in a column `row`.
type rejectTable struct {
	table  *table
	in     reflect.Type
	asJSON bool
	counts map[string]int64 // by reason
}

type rejectedJSON struct {
	Row    string `json:"row" parquet:"row"`
	Reason string `json:"reason" parquet:"reason"`
	Detail string `json:"detail" parquet:"detail"`
}

func newRejectTable(dir string, in reflect.Type) (*rejectTable, error) {
	t := &rejectTable{in: in, counts: map[string]int64{}}
	rowType, ok := rejectedType(in)
	if !ok {
		rowType, t.asJSON = reflect.TypeFor[rejectedJSON](), true
	}
	t.table = newTable(dir, rejectedDir, rowType)
	return t, nil
}

// rejectedType is the struct in with the fields of a Reject behind its own.
func rejectedType(in reflect.Type) (reflect.Type, bool) {
	if in.Kind() != reflect.Struct {
		return nil, false
	}
	var fields []reflect.StructField
	for i := range in.NumField() {
		f := in.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		if !f.IsExported() || f.Anonymous || name == "" || name == "-" || name == "reason" || name == "detail" ||
			f.Name == "Reason" || f.Name == "Detail" {
			return nil, false
		}
		f.Offset, f.Index = 0, nil
		fields = append(fields, f)
	}
	for _, name := range []string{"Reason", "Detail"} {
		f, _ := reflect.TypeFor[rejectedJSON]().FieldByName(name)
		f.Offset, f.Index = 0, nil
		fields = append(fields, f)
	}
	t := reflect.StructOf(fields)
	return t, checkRowType(t) == nil
}

func (t *rejectTable) write(row reflect.Value, why Reject) error {
	if row.Type() != t.in {
		return fmt.Errorf("pipeline: rejected rows of two types, %v and %v", t.in, row.Type())
	}
	t.counts[why.Reason]++
	if t.asJSON {
		data, err := json.Marshal(row.Interface())
		if err != nil {
			return err
		}
		return t.table.write(reflect.ValueOf(rejectedJSON{string(data), why.Reason, why.Detail}))
	}
	v := reflect.New(t.table.rowType).Elem()
	for i := range row.NumField() {
		v.Field(i).Set(row.Field(i))
	}
	v.FieldByName("Reason").SetString(why.Reason)
	v.FieldByName("Detail").SetString(why.Detail)
	return t.table.write(v)
}
