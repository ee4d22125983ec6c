package synth

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
)

// rejectedRow is a row of rejected/ as it is read back.
type rejectedRow struct {
	ID          string   `json:"id" parquet:"id"`
	JudgeScore  float32  `json:"judge_score" parquet:"judge_score"`
	JudgeReason string   `json:"judge_reason" parquet:"judge_reason"`
	Answers     []Answer `json:"answers" parquet:"answers,list"`
	Reason      string   `json:"reason" parquet:"reason"`
	Detail      string   `json:"detail" parquet:"detail"`
}

// restore takes the results of the finished directory over, but for those of
// records that failed; of these it takes the answers. Rows and rejected rows
// are in the passages' order.
func (w *writer) restore(ctx context.Context, run *durable.Run, env durable.Env) error {
	if _, err := os.Stat(env.Out); errors.Is(err, os.ErrNotExist) {
		return nil // replaced but for the last rename: the journals have everything
	}
	notes, pairs, spent := map[string]Shortened{}, map[string][]Pair{}, map[string]Spent{}
	err := errors.Join(
		eachNote(ctx, env.Out, shortenedDir, func(s Shortened) { notes[s.PassageID] = s }),
		eachNote(ctx, env.Out, pairsDir, func(p Pair) { pairs[p.PassageID] = append(pairs[p.PassageID], p) }),
		eachNote(ctx, env.Out, ledgerDir, func(s Spent) { spent[s.PassageID] = s }))
	if err != nil {
		return err
	}
	rows := newQueue(dataset.Rows[dataset.Instruction](ctx, env.Out))
	defer rows.stop()
	rejected := newQueue[rejectedRow](func(func(rejectedRow, error) bool) {})
	dir := filepath.Join(env.Out, dataset.RejectedDir)
	there, err := badinput.Exists(dir)
	if err != nil {
		return err
	}
	if there {
		rejected = newQueue(dataset.Rows[rejectedRow](ctx, dir))
	}
	defer rejected.stop()

	earlier := func(p dataset.Passage) (e durable.Earlier[dataset.Instruction], err error) {
		row, ok, err := rows.take(func(r dataset.Instruction) bool { return r.PassageID == p.ID })
		if err != nil {
			return e, err
		}
		if ok {
			note := notes[p.ID]
			if !strings.HasPrefix(note.Reason, failedPrefix) {
				e.Rows = []dataset.Instruction{row}
				if err := w.keepNotes(p.ID, pairs[p.ID], spent[p.ID]); err != nil {
					return e, err
				}
			}
			return e, w.keep(p.ID, note.Answers)
		}
		why, ok, err := rejected.take(func(r rejectedRow) bool { return r.ID == p.ID })
		if err != nil || !ok {
			return e, err
		}
		if !strings.HasPrefix(why.Reason, failedPrefix) {
			row := newRejected(p)
			row.Answers, row.JudgeScore, row.JudgeReason = why.Answers, why.JudgeScore, why.JudgeReason
			spent := total(why.Answers)
			row.PromptTokens, row.CompletionTokens = spent.PromptTokens, spent.CompletionTokens
			e.Reject = &dataset.Reject{Reason: why.Reason, Detail: why.Detail, Row: row}
		}
		return e, w.keep(p.ID, why.Answers)
	}
	return durable.Restore(ctx, run, dataset.Rows[dataset.Passage](ctx, env.In["passages"]), passageID, earlier)
}

// eachNote reads the notes of a finished directory, if it has any of that kind.
func eachNote[T any](ctx context.Context, out, name string, f func(T)) error {
	dir := filepath.Join(out, name)
	if there, err := badinput.Exists(dir); !there || err != nil {
		return err
	}
	for note, err := range dataset.Rows[T](ctx, dir) {
		if err != nil {
			return err
		}
		f(note)
	}
	return nil
}

// keepNotes puts what a finished directory notes about a kept row among the calls.
func (w *writer) keepNotes(passage string, pairs []Pair, spent Spent) error {
	if len(pairs) > 0 {
		if err := w.calls.Put(pairsKey(passage), pairs); err != nil {
			return err
		}
	}
	if spent.PassageID == "" {
		return nil
	}
	return w.calls.Put(spentKey(passage), spent)
}

// queue reads rows one at a time, with a look at the next.
type queue[T any] struct {
	next func() (T, error, bool)
	stop func()
	head T
	have bool
}

func newQueue[T any](rows iter.Seq2[T, error]) *queue[T] {
	q := &queue[T]{}
	q.next, q.stop = iter.Pull2(rows)
	return q
}

// take returns the next row if it is the one that is looked for.
func (q *queue[T]) take(is func(T) bool) (row T, ok bool, err error) {
	if !q.have {
		head, err, more := q.next()
		if err != nil || !more {
			return row, false, err
		}
		q.head, q.have = head, true
	}
	if !is(q.head) {
		return row, false, nil
	}
	q.have = false
	return q.head, true, nil
}
