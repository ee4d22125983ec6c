package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/panics"
	"barka/internal/progress"
)

// MapOptions are settings of Map that do not change the output.
type MapOptions[In any] struct {
	Key      func(In) string   // returns a record's key; records with the same key must be equal
	Workers  int               // at least 1 is used
	Progress progress.Reporter // nil shows nothing
	Total    int               // number of records; 0 if unknown
	Rejected reflect.Type      // type of Reject.Row; nil keeps rejected records as they are
	Failures Failures          // bounds at which Map stops
	Retry    bool              // work again on records that failed in an earlier run
}

// step is one Map of a run: a journal with the result of each record, and the
// order of the records.
type step struct {
	journal       *Journal
	rejected, out reflect.Type
	order         []string
	complete      bool
}

// result is what the journal stores for a record: its rows, or the reason why it was
// rejected with its row in rejected/. A record that failed after some rows has both.
type result struct {
	Out    json.RawMessage `json:"o,omitempty"`
	Reject *dataset.Reject `json:"r,omitempty"`
	Row    json.RawMessage `json:"i,omitempty"`
}

func newResult[Out any](rows []Out, reject *dataset.Reject, rec json.RawMessage) (res result, err error) {
	if res.Reject = reject; reject != nil {
		if res.Row = rec; reject.Row != nil {
			if res.Row, err = json.Marshal(reject.Row); err != nil {
				return res, err
			}
		}
	}
	if len(rows) > 0 && (reject == nil || reject.Failed) {
		res.Out, err = json.Marshal(rows)
	}
	return res, err
}

// Map applies fn to each record of in. The result of fn is journaled at once: an
// interrupted Map that is called again with the same records works only on those
// without a result. The rows become part of the dataset in the order of in. A Run may
// have several Maps; their rows follow each other. Out must be a struct with json and
// parquet tags.
//
// If fn returns a *dataset.Reject, the record goes to rejected/. If that Reject is
// Failed and comes with rows, the rows are kept, the record is not rejected, and a run
// with Retry works on it again. Any other error ends Map, as does the end of ctx, whose
// error is then returned.
func Map[In, Out any](ctx context.Context, r *Run, in iter.Seq2[In, error], o MapOptions[In],
	fn func(ctx context.Context, rec In) ([]Out, error)) error {
	one := func(In) int { return 1 }
	return MapBatch(ctx, r, in, o, one, 1, func(ctx context.Context, recs []In) ([][]Out, []error) {
		out, err := fn(ctx, recs[0])
		return [][]Out{out}, []error{err}
	})
}

// MapBatch is Map for work that is faster on several records at once. fn is called with
// consecutive records whose sizes add up to at most budget, or with a single larger
// record. It returns the rows and the error of each record; a nil slice of errors means
// none. Batches change with interruptions, so a record's result must not depend on its
// batch.
func MapBatch[In, Out any](ctx context.Context, r *Run, in iter.Seq2[In, error], o MapOptions[In],
	size func(In) int, budget int, fn func(ctx context.Context, recs []In) ([][]Out, []error)) error {
	rejected := o.Rejected
	if rejected == nil {
		rejected = reflect.TypeFor[In]()
	}
	s, err := r.newStep(rejected, reflect.TypeFor[Out]())
	if err != nil {
		return err
	}
	if o.Key == nil {
		return errors.New("durable: Map without a Key")
	}
	o.Progress = progress.OrSilent(o.Progress)
	m := &mapper[In, Out]{step: s, options: o, failures: failureCount{Failures: o.Failures}, fn: fn,
		jobs: make(chan []record[In]), parent: ctx}
	m.ctx, m.cancel = context.WithCancel(ctx)
	defer m.cancel()

	total := int64(o.Total)
	if total <= 0 {
		total = -1
	}
	o.Progress.Start(r.id.Stage, total, "records")
	defer o.Progress.Done()
	workers := panics.Group{Stop: m.cancel}
	for range max(o.Workers, 1) {
		workers.Go(m.work)
	}
	m.read(in, size, budget)
	close(m.jobs)
	workers.Wait()

	if m.err != nil {
		return m.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.release(); err != nil {
		return err
	}
	s.complete = true
	return nil
}

func (r *Run) newStep(rejected, out reflect.Type) (*step, error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	if err := dataset.CheckRowType(out); err != nil {
		return nil, err
	}
	j, err := openJournal(filepath.Join(r.work.partial, fmt.Sprintf("rows-%d.jsonl", len(r.steps))))
	if err != nil {
		return nil, atomicfile.Explain(r.work.partial, err)
	}
	s := &step{journal: j, rejected: rejected, out: out}
	r.steps = append(r.steps, s)
	return s, nil
}

type record[In any] struct {
	value In
	key   string
	json  []byte
	stamp uint64
}

type mapper[In, Out any] struct {
	step    *step
	options MapOptions[In]
	fn      func(context.Context, []In) ([][]Out, []error)
	jobs    chan []record[In]
	parent  context.Context
	ctx     context.Context
	cancel  context.CancelFunc

	mu       sync.Mutex
	err      error // the first error
	failures failureCount
}

func (m *mapper[In, Out]) fail(err error) {
	m.mu.Lock()
	if m.err == nil {
		if stopped := m.parent.Err(); stopped != nil {
			err = stopped // the interruption caused the error
		}
		m.err = err
	}
	m.mu.Unlock()
	m.cancel()
}

// read passes the records without a result to the workers, in batches.
func (m *mapper[In, Out]) read(in iter.Seq2[In, error], size func(In) int, budget int) {
	var batch []record[In]
	filled := 0
	flush := func() bool {
		if len(batch) == 0 {
			return true
		}
		select {
		case m.jobs <- batch:
			batch, filled = nil, 0
			return true
		case <-m.ctx.Done():
			return false
		}
	}
	seen := map[string]uint64{}
	for value, err := range in {
		if err != nil {
			m.fail(err)
			return
		}
		if m.ctx.Err() != nil {
			return
		}
		rec, todo, err := m.examine(value, seen)
		if err != nil {
			m.fail(err)
			return
		}
		if !todo {
			continue
		}
		n := size(value)
		if filled+n > budget && !flush() {
			return
		}
		batch, filled = append(batch, rec), filled+n
		if filled >= budget && !flush() {
			return
		}
	}
	flush()
}

// examine records the place of the record in the output and reports whether it
// has to be worked on.
func (m *mapper[In, Out]) examine(value In, seen map[string]uint64) (rec record[In], todo bool, err error) {
	rec = record[In]{value: value, key: m.options.Key(value)}
	if rec.key == "" {
		return rec, false, badinput.Errorf("record %d has an empty id", len(m.step.order)+1)
	}
	if rec.json, err = json.Marshal(value); err != nil {
		return rec, false, fmt.Errorf("record %s: %w", rec.key, err)
	}
	rec.stamp = xxhash.Sum64(rec.json)
	stamp, twice := seen[rec.key]
	if !twice {
		seen[rec.key] = rec.stamp
	}
	known := false
	if !twice {
		stamp, known = m.step.journal.stamp(rec.key)
	}
	if (twice || known) && stamp != rec.stamp {
		return rec, false, badinput.Errorf("two different records have the id %q; give each record its own id", rec.key)
	}
	m.step.order = append(m.step.order, rec.key)
	if known {
		again, err := m.retried(rec.key)
		if err != nil {
			return rec, false, err
		}
		known = !again
	}
	switch {
	case known:
		m.options.Progress.Skip(1)
	case twice:
		m.options.Progress.Add(1)
	}
	return rec, !twice && !known, nil
}

func (m *mapper[In, Out]) work() {
	for batch := range m.jobs {
		if m.ctx.Err() != nil {
			continue
		}
		values := make([]In, len(batch))
		for i, rec := range batch {
			values[i] = rec.value
		}
		out, errs := m.fn(m.ctx, values)
		if len(errs) != 0 && len(errs) != len(batch) || len(errs) == 0 && len(out) != len(batch) {
			m.fail(fmt.Errorf("durable: %d records gave %d results and %d errors", len(batch), len(out), len(errs)))
			continue
		}
		// The other results of a batch with an error are kept: they may have cost
		// money.
		for i, rec := range batch {
			var rows []Out
			var err error
			if i < len(out) {
				rows = out[i]
			}
			if i < len(errs) {
				err = errs[i]
			}
			if err := m.keep(rec, rows, err); err != nil {
				m.fail(err)
				continue
			}
			m.options.Progress.Add(1)
		}
	}
}

// keep journals the record's result.
func (m *mapper[In, Out]) keep(rec record[In], rows []Out, err error) error {
	var reject *dataset.Reject
	if err != nil && !errors.As(err, &reject) {
		return fmt.Errorf("record %s: %w", rec.key, err)
	}
	res, err := newResult(rows, reject, rec.json)
	if err != nil {
		return fmt.Errorf("record %s: its result cannot be stored: %w", rec.key, err)
	}
	return m.settle(heldResult{rec.key, rec.stamp, res})
}

// each reads the step's results in order.
func (s *step) each(row func(reflect.Value) error, reject func(in reflect.Value, why dataset.Reject) error) error {
	for _, key := range s.order {
		var res result
		ok, err := s.journal.Get(key, &res)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("durable: record %s has no result", key)
		}
		if res.Reject != nil && res.Out == nil {
			in := reflect.New(s.rejected)
			if err := json.Unmarshal(res.Row, in.Interface()); err != nil {
				return fmt.Errorf("record %s: %w", key, err)
			}
			if err := reject(in.Elem(), *res.Reject); err != nil {
				return err
			}
			continue
		}
		if res.Out == nil {
			continue
		}
		rows := reflect.New(reflect.SliceOf(s.out))
		if err := json.Unmarshal(res.Out, rows.Interface()); err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
		for i := range rows.Elem().Len() {
			if err := row(rows.Elem().Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outputs reads the rows that the run's Maps have made, in order. Stages compute totals
// from it, because a count inside Map's function would miss the results of an earlier
// process.
func Outputs[Out any](r *Run) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var zero Out
		for _, s := range r.steps {
			if s.out != reflect.TypeFor[Out]() {
				yield(zero, fmt.Errorf("durable: rows of type %v, not %T", s.out, zero))
				return
			}
			err := s.each(func(row reflect.Value) error {
				if !yield(row.Interface().(Out), nil) {
					return errStopped
				}
				return nil
			}, func(reflect.Value, dataset.Reject) error { return nil })
			if errors.Is(err, errStopped) {
				return
			}
			if err != nil {
				yield(zero, err)
				return
			}
		}
	}
}

// Rejects reads the rows that the run's Maps have rejected, in their order.
func Rejects[Row any](r *Run) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var zero Row
		for _, s := range r.steps {
			err := s.each(func(reflect.Value) error { return nil }, func(row reflect.Value, _ dataset.Reject) error {
				v, ok := row.Interface().(Row)
				if !ok {
					return fmt.Errorf("durable: rejected rows of type %v, not %T", row.Type(), zero)
				}
				if !yield(v, nil) {
					return errStopped
				}
				return nil
			})
			if errors.Is(err, errStopped) {
				return
			}
			if err != nil {
				yield(zero, err)
				return
			}
		}
	}
}

var errStopped = errors.New("stopped")
