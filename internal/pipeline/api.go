package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
)

var errUnwritten = errors.New("pipeline: not written yet")

// Rows reads the rows of a dataset directory, .parquet, .jsonl, .jsonl.gz or .jsonl.zst file.
func Rows[T any](ctx context.Context, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { var t T; yield(t, errUnwritten) }
}

// Count returns the number of rows.
func Count(path string) (int, error) { return 0, errUnwritten }

// Digest identifies a file or dataset directory by content.
func Digest(path string) (string, error) { return "", errUnwritten }

// ReadManifest reads the manifest of a finished dataset directory.
func ReadManifest(dir string) (*Manifest, error) { return nil, errUnwritten }

// Identity is everything that decides a stage's output.
type Identity struct {
	Stage   string
	Version int
	Options any
	Inputs  map[string]string // name -> path
	Seed    int64
}

// Run is a stage's run towards one dataset directory.
type Run struct{}

// Begin starts or resumes a run.
func Begin(out string, id Identity, restart bool) (*Run, error) { return nil, errUnwritten }

func (r *Run) Done() bool          { return false }
func (r *Run) Manifest() *Manifest { return nil }
func (r *Run) Dir() string         { return "" }
func (r *Run) Journal() *Journal   { return nil }

// Close releases the run's lock and files; what is unfinished can be resumed. After Finish it does nothing.
func (r *Run) Close() error { return nil }

// Journal is an append-only store of finished work.
type Journal struct{}

func (j *Journal) Put(key string, value any) error                          { return errUnwritten }
func (j *Journal) Get(key string, into any) (bool, error)                   { return false, errUnwritten }
func (j *Journal) Len() int                                                 { return 0 }
func (j *Journal) Each(f func(key string, raw json.RawMessage) error) error { return errUnwritten }

// MapOptions says how Map works.
type MapOptions[In any] struct {
	Key      func(In) string
	Workers  int
	Progress Progress
	Total    int
}

// Map applies fn to every record.
func Map[In, Out any](ctx context.Context, r *Run, in iter.Seq2[In, error], o MapOptions[In], fn func(ctx context.Context, rec In) ([]Out, error)) error {
	return errUnwritten
}

// MapBatch applies fn to batches of records.
func MapBatch[In, Out any](ctx context.Context, r *Run, in iter.Seq2[In, error], o MapOptions[In], size func(In) int, budget int, fn func(ctx context.Context, recs []In) ([][]Out, []error)) error {
	return errUnwritten
}

// Outputs reads the rows that Map has made so far, in input order: for totals before Finish that do not depend on interruptions.
func Outputs[Out any](r *Run) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) { var t Out; yield(t, errUnwritten) }
}

// Writer writes the rows of a stage that does not work record by record.
type Writer[T any] struct{}

// NewWriter writes to the dataset's own rows.
func NewWriter[T any](r *Run) (*Writer[T], error) { return nil, errUnwritten }

// NewSplit writes to the rows of a subdirectory, e.g. validation.
func NewSplit[T any](r *Run, split string) (*Writer[T], error) { return nil, errUnwritten }

func (w *Writer[T]) Write(row T) error                { return errUnwritten }
func (w *Writer[T]) Reject(row any, why Reject) error { return errUnwritten }

// Final is what Finish adds to the rows.
type Final struct {
	Counts map[string]int64
	Tokens map[string]int64
	Card   string // README.md
	Notes  []string
}

// Finish writes the dataset directory.
func (r *Run) Finish(f Final) error { return errUnwritten }
