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

// finished reads the rows and notes of a finished directory, all of which are in the
// passages' order.
type finished struct {
	rows      *queue[dataset.Instruction]
	rejected  *queue[rejectedRow]
	shortened *queue[Shortened]
	pairs     *queue[Pair]
	spent     *queue[Spent]
}

// restore takes the results of the finished directory over, but for those of records that
// failed; of these it takes the answers.
func (w *writer) restore(ctx context.Context, run *durable.Run, env durable.Env) error {
	if _, err := os.Stat(env.Out); errors.Is(err, os.ErrNotExist) {
		return nil // replaced but for the last rename: the journals have everything
	}
	var f finished
	err := errors.Join(
		open(ctx, &f.rows, env.Out), open(ctx, &f.rejected, filepath.Join(env.Out, dataset.RejectedDir)),
		open(ctx, &f.shortened, filepath.Join(env.Out, shortenedDir)), open(ctx, &f.pairs, filepath.Join(env.Out, pairsDir)),
		open(ctx, &f.spent, filepath.Join(env.Out, ledgerDir)))
	defer func() {
		f.rows.stop()
		f.rejected.stop()
		f.shortened.stop()
		f.pairs.stop()
		f.spent.stop()
	}()
	if err != nil {
		return err
	}
	earlier := func(p dataset.Passage) (e durable.Earlier[dataset.Instruction], err error) {
		row, ok, err := f.rows.take(func(r dataset.Instruction) bool { return r.PassageID == p.ID })
		if err != nil {
			return e, err
		}
		if ok {
			return w.restoreRow(&f, row)
		}
		why, ok, err := f.rejected.take(func(r rejectedRow) bool { return r.ID == p.ID })
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

// restoreRow takes a row over with its notes, unless a failed request shortened it.
func (w *writer) restoreRow(f *finished, row dataset.Instruction) (e durable.Earlier[dataset.Instruction], err error) {
	note, _, err := f.shortened.take(func(s Shortened) bool { return s.PassageID == row.PassageID })
	if err != nil {
		return e, err
	}
	spent, _, err := f.spent.take(func(s Spent) bool { return s.PassageID == row.PassageID })
	if err != nil {
		return e, err
	}
	var pairs []Pair
	for {
		p, ok, err := f.pairs.take(func(p Pair) bool { return p.PassageID == row.PassageID })
		if err != nil {
			return e, err
		}
		if !ok {
			break
		}
		pairs = append(pairs, p)
	}
	if !strings.HasPrefix(note.Reason, failedPrefix) {
		e.Rows = []dataset.Instruction{row}
		if err := w.keepNotes(row.PassageID, pairs, spent); err != nil {
			return e, err
		}
	}
	return e, w.keep(row.PassageID, note.Answers)
}

// open sets q to the rows of a directory, or to none if there is no such directory.
func open[T any](ctx context.Context, q **queue[T], dir string) error {
	there, err := badinput.Exists(dir)
	if !there || err != nil {
		*q = newQueue(func(func(T, error) bool) {})
		return err
	}
	*q = newQueue(dataset.Rows[T](ctx, dir))
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
