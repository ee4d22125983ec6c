package synth

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"barka/internal/dataset"
	"barka/internal/llm"
)

// Answer is an answer of the model, whether it passed the checks or not.
type Answer struct {
	Step             string  `json:"step" parquet:"step"` // question/0, answer/0, judge/0/0 … by turn; questions asks for all at once
	Attempt          int32   `json:"attempt" parquet:"attempt"`
	Text             string  `json:"text" parquet:"text"`
	FinishReason     string  `json:"finish_reason" parquet:"finish_reason"`
	PromptTokens     int32   `json:"prompt_tokens" parquet:"prompt_tokens"`
	CompletionTokens int32   `json:"completion_tokens" parquet:"completion_tokens"`
	Cost             float64 `json:"cost,omitempty" parquet:"cost"` // by the endpoint's prices
}

func newAnswer(step string, attempt int, r llm.Response) Answer {
	return Answer{Step: step, Attempt: int32(attempt), Text: strings.ToValidUTF8(r.Text, "\ufffd"),
		FinishReason: strings.ToValidUTF8(r.FinishReason, ""),
		PromptTokens: int32(r.PromptTokens), CompletionTokens: int32(r.CompletionTokens), Cost: r.Cost}
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
	JudgeScore       float32  `json:"judge_score,omitempty" parquet:"judge_score"` // of the last answer that was judged
	JudgeReason      string   `json:"judge_reason,omitempty" parquet:"judge_reason"`
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
	row.JudgeScore, row.JudgeReason = float32(r.verdict.score), r.verdict.reason
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
func (r *record) call(ctx context.Context, client llm.Client, step string, attempt int, req llm.Request) (a Answer, err error) {
	key := callKey(r.passage.ID, step, attempt)
	if ok, err := r.w.calls.Get(key, &a); ok || err != nil {
		return a, err
	}
	if err := ctx.Err(); err != nil {
		return a, err
	}
	resp, err := client.Complete(ctx, req)
	if err != nil {
		return a, err
	}
	a = newAnswer(step, attempt, resp)
	return a, r.w.calls.Put(key, a)
}

func callKey(passage, step string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", passage, step, attempt)
}

// answers are all answers about a passage, in the order of the calls, with the verdicts
// about them.
func (w *writer) answers(passage string) ([]Answer, error) {
	samples := max(w.o.BestOf, 1)
	steps := []string{"questions"}
	for turn := range w.o.Turns {
		steps = append(steps, fmt.Sprintf("question/%d", turn))
		for i := range samples {
			steps = append(steps, answerStep(turn, i))
		}
		for i := range samples {
			steps = append(steps, judgeStep(turn, i))
		}
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
