package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/dataset"

	"github.com/cespare/xxhash/v2"
)

// Failures bounds the number of records that may fail (dataset.Reject.Failed) before
// Map stops.
type Failures struct {
	// InARow bounds the failures in a row, in order of completion. 0 is no
	// bound.
	InARow int
	// Share bounds the share of failures among the records that this run has
	// finished, from the 100th on. 0 is no bound.
	Share float64
}

// shareFrom is the number of finished records from which Share applies.
// Neighbouring passages belong to one article, and a server's filter may refuse all of
// them.
const shareFrom = 100

// TooManyFailures is the error of a Map that reached a bound of Failures.
type TooManyFailures struct {
	Failed, Finished int // records of this run
	InARow           int // 0 if Share was reached
	Last             dataset.Reject
}

func (e *TooManyFailures) Error() string {
	if e.InARow > 0 {
		return fmt.Sprintf("%d records in a row failed, the last with %s: %s; the same command tries these again",
			e.InARow, e.Last.Reason, e.Last.Detail)
	}
	return fmt.Sprintf("%d of %d records failed, the last with %s: %s", e.Failed, e.Finished, e.Last.Reason, e.Last.Detail)
}

// failureCount holds the results of failed records back until another record succeeds.
// Only a success shows that the fault was in the records and not in the server. If the
// run stops before, the records have no result and the next run works on them again.
type failureCount struct {
	Failures
	failed, finished int
	last             dataset.Reject
	held             []heldResult
}

type heldResult struct {
	key   string
	stamp uint64
	res   result
}

// settle puts a record's result into the journal, or holds it back.
func (m *mapper[In, Out]) settle(h heldResult) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.failures
	f.finished++
	if h.res.Reject == nil || !h.res.Reject.Failed {
		if err := m.release(); err != nil {
			return err
		}
		if err := m.put(h); err != nil {
			return err
		}
	} else {
		f.failed++
		f.last = *h.res.Reject
		f.held = append(f.held, h)
	}
	stop := &TooManyFailures{Failed: f.failed, Finished: f.finished, Last: f.last}
	switch {
	case f.InARow > 0 && len(f.held) >= f.InARow:
		stop.InARow = len(f.held)
		return stop
	case f.Share > 0 && f.finished >= shareFrom && float64(f.failed) > f.Share*float64(f.finished):
		return stop
	}
	return nil
}

// release journals the results that are held back. The caller holds m.mu.
func (m *mapper[In, Out]) release() error {
	for _, h := range m.failures.held {
		if err := m.put(h); err != nil {
			return err
		}
	}
	m.failures.held = nil
	return nil
}

// retried reports whether the record's result is a failure on which this run works
// again.
func (m *mapper[In, Out]) retried(key string) (bool, error) {
	if !m.options.Retry || m.retries[key] {
		return false, nil
	}
	var res result
	if _, err := m.step.journal.Get(key, &res); err != nil {
		return false, err
	}
	return res.Reject != nil && res.Reject.Failed, nil
}

// Reopen begins a run that replaces the finished directory at out, which must have the
// same identity, and works again on some of its records. The stage passes the results
// of the others to Restore. The directory stays until Finish. Begin resumes an
// interrupted run of this kind, which is Reopened too.
func Reopen(out string, id Identity) (*Run, error) {
	r, err := Begin(out, id, false)
	if err != nil || !r.Done() {
		return r, err
	}
	return begin(out, id, reopenFinished)
}

// Reopened reports whether the run replaces a finished directory of the same
// identity, whose results Restore keeps.
func (r *Run) Reopened() bool { return r.reopened && r.manifest == nil }

// Earlier is a record's result in the finished directory: its rows, or the reason why
// it was rejected. A record with neither has to be worked on again.
type Earlier[Out any] struct {
	Rows   []Out
	Reject *dataset.Reject
}

// Restore copies results of a finished directory for the records of in. The run's
// first Map must follow with the same records and key. Results that the run already
// has are kept, so that Restore can be repeated after an interruption.
func Restore[In, Out any](ctx context.Context, r *Run, in iter.Seq2[In, error], key func(In) string,
	earlier func(In) (Earlier[Out], error)) (err error) {
	if err := r.writable(); err != nil {
		return err
	}
	j, err := openJournal(filepath.Join(r.work.partial, "rows-0.jsonl"))
	if err != nil {
		return atomicfile.Explain(r.work.partial, err)
	}
	defer func() { err = errors.Join(err, j.close()) }()
	for rec, err := range in {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		e, err := earlier(rec)
		if err != nil {
			return err
		}
		_, known, err := j.position(key(rec))
		if err != nil {
			return err
		}
		if known || len(e.Rows) == 0 && e.Reject == nil {
			continue
		}
		data, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		res, err := newResult(e.Rows, e.Reject, data)
		if err != nil {
			return err
		}
		if _, err := j.put(key(rec), xxhash.Sum64(data), res); err != nil {
			return err
		}
	}
	return nil
}
