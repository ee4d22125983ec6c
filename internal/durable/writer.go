package durable

import (
	"fmt"
	"reflect"

	"barka/internal/dataset"
)

// Writer writes the rows of a stage that does not work record by record. After an
// interruption, the stage writes all rows again.
type Writer[T any] struct {
	run   *Run
	split *dataset.Split
}

// NewWriter returns the Writer of the dataset's rows. A Run has either Maps or one such
// Writer.
func NewWriter[T any](r *Run) (*Writer[T], error) { return newWriter[T](r, "") }

// NewSplit returns a Writer of rows in a subdirectory, such as validation, which
// dataset.Rows reads as a separate dataset.
func NewSplit[T any](r *Run, name string) (*Writer[T], error) {
	if !dataset.ValidSplit(name) {
		return nil, fmt.Errorf("durable: split name %q", name)
	}
	return newWriter[T](r, name)
}

// NewNotes returns a Writer of rows in a subdirectory that describe rows of the dataset.
// dataset.Rows reads them; the manifest does not count them.
func NewNotes[T any](r *Run, name string) (*Writer[T], error) {
	w, err := NewSplit[T](r, name)
	if err == nil {
		w.split.Notes = true
	}
	return w, err
}

func newWriter[T any](r *Run, name string) (*Writer[T], error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	if name == "" && len(r.steps) > 0 {
		return nil, fmt.Errorf("durable: Map and Writer in one run")
	}
	s, err := r.builder.Split(name, reflect.TypeFor[T]())
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
	return w.split.Write(reflect.ValueOf(row))
}

// Reject writes a row to rejected/. All rejected rows of a Run have the same type.
func (w *Writer[T]) Reject(row any, why dataset.Reject) error {
	if err := w.run.writable(); err != nil {
		return err
	}
	return w.run.builder.Reject(reflect.ValueOf(row), why)
}
