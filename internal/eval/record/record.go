// Package record holds the questions and answers of an evaluation. Its Run is the one
// data type that all parts of an evaluation share: scoring and the merge of shards
// produce it; the writers of the reference's files, of the leaderboard and of shards
// read it.
package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"barka/internal/eval/tasks"
	"barka/internal/score"
)

// Run is an evaluation: the model, the options that its files depend on, and
// the tasks with their questions and answers.
type Run struct {
	Model    Model
	Settings Settings
	Tasks    []*Task
	// LeftOut holds the tasks that failed, Skipped those that the options do not
	// allow.
	LeftOut, Skipped []Failure
	// Scored counts the requests that the model answered, Reused those that the store
	// answered.
	Scored, Reused int
}

// Failures returns LeftOut and Skipped together.
func (r *Run) Failures() []Failure { return append(append([]Failure(nil), r.LeftOut...), r.Skipped...) }

// Failure is a task that is not in a run, with the reason.
type Failure struct {
	Task string // suite|name
	Err  error
	// Questions is the task, or nil if it could not be loaded. First is the index of
	// its earliest question without an answer.
	Questions *Task
	First     int
}

// Task is a task with one number of shots and its questions in evaluation order.
type Task struct {
	Task  tasks.Task
	Shots tasks.Shots
	// Original counts the questions of the benchmark. A sample has fewer.
	Original  int
	Questions []Question
}

// Name returns the task's key in result files: suite|task|shots.
func (t *Task) Name() string { return fmt.Sprintf("%s|%d", t.Task.Key(), t.Shots.K) }

// Judged reports whether a judge marks the answers, which are texts. Otherwise
// the choices are scored.
func (t *Task) Judged() bool { return t.Task.Metric == tasks.Judged }

// Values returns the metric's value of every question.
func (t *Task) Values() []float64 {
	out := make([]float64, len(t.Questions))
	for i, q := range t.Questions {
		out[i] = q.Answer.Value
	}
	return out
}

// Digest returns the xxHash64 of the task's questions, right answers and tokens.
func (t *Task) Digest() string {
	d := xxhash.New()
	for i := range t.Questions {
		q := &t.Questions[i]
		key := q.Key()
		fmt.Fprintf(d, "%q %q %q %d %d", q.Doc.Query, q.Context, q.Doc.Choices, q.Doc.Gold, q.EffectiveShots)
		d.Write(key[:])
	}
	return fmt.Sprintf("%016x", d.Sum64())
}

// Question is a question as the model sees it.
type Question struct {
	Doc tasks.Doc
	// Context is the prompt: instruction, examples and question.
	Context string
	// EffectiveShots is the number of its examples that the reference reports.
	EffectiveShots int
	// Requests holds one request per choice; a judged question has none.
	Requests []Request
	// Answer is nil until the question is answered. It stays nil for questions of
	// other shards.
	Answer *Answer
}

// Answer is a model's answer to a question.
type Answer struct {
	// Scores holds the answers to the question's requests.
	Scores []Score
	// Text is the answer to a judged question, Judgement the judge's reply.
	Text, Judgement string
	// Value is the value of the task's metric.
	Value float64
}

// LogProbs returns the log-probability of each choice.
func (a *Answer) LogProbs() []float64 {
	out := make([]float64, len(a.Scores))
	for i, s := range a.Scores {
		out[i] = s.LogProb
	}
	return out
}

// Request asks for the log-likelihood of a continuation after a context. If both
// together, without the last token, exceed the model's MaxLength, the left end of the
// context is cut.
type Request = score.Request

// Score answers a Request.
type Score struct {
	// LogProb is the natural logarithm of the continuation's probability.
	LogProb float64
	// Greedy is set if each of its tokens was the most likely one.
	Greedy bool
	// PerToken holds the terms of LogProb; it may be nil.
	PerToken []float64
}

// Key identifies a request or a whole question. It is half of a SHA-256.
type Key [16]byte

// KeyOf returns the key of a request, from both token lists.
func KeyOf(r Request) Key {
	h := sha256.New()
	for _, ids := range [][]int32{r.Context, r.Continuation} {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(ids)))
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		h.Write(b)
	}
	return Key(h.Sum(nil)[:16])
}

// Key returns the key of a question: that of its requests, or of the prompt that the
// model continues.
func (q *Question) Key() Key {
	h := sha256.New()
	if len(q.Requests) == 0 {
		h.Write([]byte(q.Context))
	}
	for _, r := range q.Requests {
		key := KeyOf(r)
		h.Write(key[:])
	}
	return Key(h.Sum(nil)[:16])
}
