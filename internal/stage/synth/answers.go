package synth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
)

// Answer is an answer of the model, whether it passed the checks or not.
type Answer struct {
	Step             string `json:"step" parquet:"step"` // question/0, answer/0 … by turn; questions asks for all at once
	Attempt          int32  `json:"attempt" parquet:"attempt"`
	Text             string `json:"text" parquet:"text"`
	FinishReason     string `json:"finish_reason" parquet:"finish_reason"`
	PromptTokens     int32  `json:"prompt_tokens" parquet:"prompt_tokens"`
	CompletionTokens int32  `json:"completion_tokens" parquet:"completion_tokens"`
}

// Rejected is a row of rejected/, before its reason: the passage, with what the
// model answered about it. The tokens are the answers' sums.
type Rejected struct {
	ID               string   `json:"id" parquet:"id"`
	Dataset          string   `json:"dataset" parquet:"dataset"`
	Title            string   `json:"title" parquet:"title"`
	Section          string   `json:"section" parquet:"section"`
	Text             string   `json:"text" parquet:"text"`
	URL              string   `json:"url" parquet:"url"`
	Revision         int64    `json:"revision" parquet:"revision"`
	Licence          string   `json:"licence" parquet:"licence"`
	Chars            int32    `json:"chars" parquet:"chars"`
	Answers          []Answer `json:"answers" parquet:"answers,list"`
	PromptTokens     int32    `json:"prompt_tokens" parquet:"prompt_tokens"`
	CompletionTokens int32    `json:"completion_tokens" parquet:"completion_tokens"`
}

func newRejected(p dataset.Passage) Rejected {
	return Rejected{ID: p.ID, Dataset: p.Dataset, Title: p.Title, Section: p.Section, Text: p.Text, URL: p.URL,
		Revision: p.Revision, Licence: p.Licence, Chars: p.Chars}
}

// rejected is the record's row in rejected/.
func (r *record) rejected() (row Rejected, err error) {
	row = newRejected(r.passage)
	row.PromptTokens, row.CompletionTokens = r.row.PromptTokens, r.row.CompletionTokens
	row.Answers, err = r.w.answers(r.passage.ID)
	return row, err
}

// Shortened is a row of shortened/: the answers about a passage whose
// conversation was kept without its last turns.
type Shortened struct {
	PassageID string   `json:"passage_id" parquet:"passage_id"`
	Reason    string   `json:"reason" parquet:"reason"`
	Answers   []Answer `json:"answers" parquet:"answers,list"`
}

const (
	shortenedDir = "shortened"
	// failedPrefix begins the reasons of records whose request failed, before the
	// kind of llm.RequestError.
	failedPrefix = "request_"
)

// shortened is what the row of a conversation says that lost turns.
func shortened(kept, turns int, why *dataset.Reject) string {
	return fmt.Sprintf("%d of %d turns, then %s (%s)", kept, turns, why.Reason, why.Detail)
}

var shortenedForm = regexp.MustCompile(`^\d+ of \d+ turns, then ([a-z0-9_]+)`)

// shortenedBy is the reason in a text of shortened.
func shortenedBy(text string) string {
	if m := shortenedForm.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return "unknown"
}

// call returns the answer to a request, the one of an earlier run if there is
// one. Every answer is kept as it comes: it is paid for.
func (r *record) call(ctx context.Context, step string, attempt int, req llm.Request) (a Answer, err error) {
	key := callKey(r.passage.ID, step, attempt)
	if ok, err := r.w.calls.Get(key, &a); ok || err != nil {
		return a, err
	}
	if err := ctx.Err(); err != nil {
		return a, err
	}
	resp, err := r.w.client.Complete(ctx, req)
	if err != nil {
		return a, err
	}
	a = Answer{Step: step, Attempt: int32(attempt), Text: strings.ToValidUTF8(resp.Text, "\ufffd"),
		FinishReason: strings.ToValidUTF8(resp.FinishReason, ""),
		PromptTokens: int32(resp.PromptTokens), CompletionTokens: int32(resp.CompletionTokens)}
	return a, r.w.calls.Put(key, a)
}

func callKey(passage, step string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", passage, step, attempt)
}

// answers are all answers about a passage, in the order of the calls.
func (w *writer) answers(passage string) ([]Answer, error) {
	steps := []string{"questions"}
	for turn := range w.o.Turns {
		steps = append(steps, fmt.Sprintf("question/%d", turn), fmt.Sprintf("answer/%d", turn))
	}
	var all []Answer
	for _, step := range steps {
		for attempt := range w.o.Attempts * (1 + w.o.Repair) {
			var a Answer
			ok, err := w.calls.Get(callKey(passage, step, attempt), &a)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// keep puts answers of a finished directory among the calls.
func (w *writer) keep(passage string, answers []Answer) error {
	for _, a := range answers {
		if err := w.calls.Put(callKey(passage, a.Step, int(a.Attempt)), a); err != nil {
			return err
		}
	}
	return nil
}

// rejectedRow is a row of rejected/ as it is read back.
type rejectedRow struct {
	ID      string   `json:"id" parquet:"id"`
	Answers []Answer `json:"answers" parquet:"answers,list"`
	Reason  string   `json:"reason" parquet:"reason"`
	Detail  string   `json:"detail" parquet:"detail"`
}

// restore takes the results of the finished directory over, but for those of
// records that failed; of these it takes the answers. Rows and rejected rows
// are in the passages' order.
func (w *writer) restore(ctx context.Context, run *durable.Run, env durable.Env) error {
	if _, err := os.Stat(env.Out); errors.Is(err, os.ErrNotExist) {
		return nil // replaced but for the last rename: the journals have everything
	}
	notes := map[string]Shortened{}
	dir := filepath.Join(env.Out, shortenedDir)
	there, err := badinput.Exists(dir)
	if err != nil {
		return err
	}
	if there {
		for s, err := range dataset.Rows[Shortened](ctx, dir) {
			if err != nil {
				return err
			}
			notes[s.PassageID] = s
		}
	}
	rows := newQueue(dataset.Rows[dataset.Instruction](ctx, env.Out))
	defer rows.stop()
	rejected := newQueue[rejectedRow](func(func(rejectedRow, error) bool) {})
	dir = filepath.Join(env.Out, "rejected")
	if there, err = badinput.Exists(dir); err != nil {
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
			}
			return e, w.keep(p.ID, note.Answers)
		}
		why, ok, err := rejected.take(func(r rejectedRow) bool { return r.ID == p.ID })
		if err != nil || !ok {
			return e, err
		}
		if !strings.HasPrefix(why.Reason, failedPrefix) {
			row := newRejected(p)
			row.Answers = why.Answers
			for _, a := range why.Answers {
				row.PromptTokens += a.PromptTokens
				row.CompletionTokens += a.CompletionTokens
			}
			e.Reject = &dataset.Reject{Reason: why.Reason, Detail: why.Detail, Row: row}
		}
		return e, w.keep(p.ID, why.Answers)
	}
	return durable.Restore(ctx, run, dataset.Rows[dataset.Passage](ctx, env.In["passages"]), passageID, earlier)
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
