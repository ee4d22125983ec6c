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
	Key      func(In) string        // returns a record's key; records with the same key must be equal
	Workers  int                    // at least 1 is used
	Progress progress.Reporter      // nil shows nothing
	Detail   func() progress.Detail // of the work, besides the number of records; may be nil
	Total    int                    // number of records, on which the size of the units depends; 0 if unknown
	Rejected reflect.Type           // type of Reject.Row; nil keeps rejected records as they are
	Failures Failures               // bounds at which Map stops
	Retry    bool                   // work again on records that failed in an earlier run
}

// step is one Map of a run: a journal with the result of each record, and a line for each
// unit with the places of its records' results, in order.
type step struct {
	journal       *Journal
	rejected, out reflect.Type
	total         int64 // records as announced; 0 if unknown
	unit          int   // records per unit
	records       int64 // read so far
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
	s, err := r.newStep(rejected, reflect.TypeFor[Out](), o.Total)
	if err != nil {
		return err
	}
	if o.Key == nil {
		return errors.New("durable: Map without a Key")
	}
	o.Progress = progress.OrSilent(o.Progress)
	m := &mapper[In, Out]{step: s, options: o, failures: failureCount{Failures: o.Failures}, fn: fn,
		jobs: make(chan []record[In]), parent: ctx, flights: map[string]*flight{}, retries: map[string]bool{}}
	m.ctx, m.cancel = context.WithCancel(ctx)
	defer m.cancel()

	total := int64(o.Total)
	if total <= 0 {
		total = -1
	}
	o.Progress.Start(r.id.Stage, total, "records")
	progress.SetDetail(o.Progress, o.Detail)
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
	if err := m.end(); err != nil {
		return err
	}
	s.complete = true
	return nil
}

func (r *Run) newStep(rejected, out reflect.Type, total int) (*step, error) {
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
	s := &step{journal: j, rejected: rejected, out: out, total: int64(total), unit: UnitSize(total)}
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

	unit    *unit           // the one being read; nil if an earlier run finished it
	retries map[string]bool // keys of failed records on which this run works again

	mu       sync.Mutex
	err      error // the first error
	failures failureCount
	flights  map[string]*flight
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
	for value, err := range in {
		if err != nil {
			m.fail(err)
			return
		}
		if m.ctx.Err() != nil {
			return
		}
		rec, todo, err := m.examine(value)
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

// examine gives the record its place in a unit and reports whether it has to be worked
// on.
func (m *mapper[In, Out]) examine(value In) (rec record[In], todo bool, err error) {
	n := m.step.records
	m.step.records++
	if n%int64(m.step.unit) == 0 {
		if err := m.nextUnit(n); err != nil {
			return rec, false, err
		}
	}
	if m.unit == nil {
		m.options.Progress.Skip(1)
		return rec, false, nil
	}
	rec = record[In]{value: value, key: m.options.Key(value)}
	switch {
	case rec.key == "":
		return rec, false, badinput.Errorf("record %d has an empty id", n+1)
	case rec.key[0] == 0:
		return rec, false, badinput.Errorf("record %d has an id that begins with a zero byte", n+1)
	}
	if rec.json, err = json.Marshal(value); err != nil {
		return rec, false, fmt.Errorf("record %s: %w", rec.key, err)
	}
	rec.stamp = xxhash.Sum64(rec.json)
	todo, err = m.place(rec)
	return rec, todo, err
}

// place appends a record to its unit. It reports whether the record has to be worked on:
// it has no result yet, and no record with its key is in work.
func (m *mapper[In, Out]) place(rec record[In]) (todo bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.unit
	here := slot{u, len(u.at)}
	f, flying := m.flights[rec.key]
	at, known, err := m.step.journal.position(rec.key)
	if err != nil {
		return false, err
	}
	if flying {
		at.stamp = f.stamp
	}
	if (flying || known) && at.stamp != rec.stamp {
		return false, badinput.Errorf("two different records have the id %q; give each record its own id", rec.key)
	}
	again := false
	if known && !flying {
		if again, err = m.retried(rec.key); err != nil {
			return false, err
		}
	}
	known = known && !flying && !again
	if len(u.line) > here.i && (!known || u.line[here.i] != at.offset) {
		if err := m.step.reopen(u); err != nil {
			return false, err
		}
	}
	switch {
	case known:
		u.at = append(u.at, at.offset)
		m.options.Progress.Skip(1)
		return false, nil
	case flying:
		f.slots = append(f.slots, here)
		m.options.Progress.Add(1)
	default:
		m.flights[rec.key] = &flight{rec.stamp, []slot{here}}
		if again {
			m.retries[rec.key] = true
		}
	}
	u.at = append(u.at, -1)
	u.open++
	return !flying, nil
}

// nextUnit ends the unit that was being read and begins the one whose first record is n.
func (m *mapper[In, Out]) nextUnit(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.endUnit(); err != nil {
		return err
	}
	at, err := m.step.finished(n)
	if err != nil || at != nil && !m.options.Retry {
		return err
	}
	m.unit = &unit{first: n, at: make([]int64, 0, m.step.count(n)), line: at}
	return nil
}

// endUnit marks the unit as read. The caller holds m.mu.
func (m *mapper[In, Out]) endUnit() error {
	u := m.unit
	m.unit = nil
	if u == nil {
		return nil
	}
	u.whole = true
	return m.close(u)
}

// close journals the line of a unit if all its records have results.
func (m *mapper[In, Out]) close(u *unit) error {
	if !u.whole || u.open > 0 || u.line != nil {
		return nil
	}
	return m.step.finish(u)
}

// put journals a result and gives it to the records with its key. The caller holds m.mu.
func (m *mapper[In, Out]) put(h heldResult) error {
	at, err := m.step.journal.put(h.key, h.stamp, h.res)
	if err != nil {
		return err
	}
	f := m.flights[h.key]
	delete(m.flights, h.key)
	for _, s := range f.slots {
		s.u.at[s.i] = at
		s.u.open--
		if err := m.close(s.u); err != nil {
			return err
		}
	}
	return nil
}

// end journals what is held back, and the last unit.
func (m *mapper[In, Out]) end() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.endUnit(); err != nil {
		return err
	}
	return m.release()
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
	for first := int64(0); first < s.records; first += int64(s.unit) {
		var line unitLine
		ok, err := s.journal.Get(unitKey(first), &line)
		if err != nil {
			return err
		}
		if want := min(int64(s.unit), s.records-first); !ok || int64(len(line.At)) != want {
			return fmt.Errorf("durable: the unit of record %d has %d results, not %d", first+1, len(line.At), want)
		}
		for _, at := range line.At {
			entry, err := s.journal.at(at)
			if err != nil {
				return err
			}
			if err := s.one(entry, row, reject); err != nil {
				return fmt.Errorf("record %s: %w", entry.Key, err)
			}
		}
	}
	return nil
}

// one reads a record's result.
func (s *step) one(entry journalLine, row func(reflect.Value) error, reject func(in reflect.Value, why dataset.Reject) error) error {
	var res result
	if err := json.Unmarshal(entry.Value, &res); err != nil {
		return err
	}
	if res.Reject != nil && res.Out == nil {
		in := reflect.New(s.rejected)
		if err := json.Unmarshal(res.Row, in.Interface()); err != nil {
			return err
		}
		return reject(in.Elem(), *res.Reject)
	}
	if res.Out == nil {
		return nil
	}
	rows := reflect.New(reflect.SliceOf(s.out))
	if err := json.Unmarshal(res.Out, rows.Interface()); err != nil {
		return err
	}
	for i := range rows.Elem().Len() {
		if err := row(rows.Elem().Index(i)); err != nil {
			return err
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
