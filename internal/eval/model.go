// Package eval runs the multiple-choice tasks of the Open Arabic LLM Leaderboard as
// lighteval did between May and July 2024. Prompts, token boundaries, truncation,
// metrics, digests and files are equal to the byte. The tasks of the leaderboard's
// version 2 have the prompts, boundaries and metrics of lighteval of 2025, and the
// files of 2024.
//
// Package prompt prepares a run. Package eval scores or judges it, with package store
// as its memory, and makes a record.Run. Packages lighteval, leaderboard and shard
// write that record; Merge reads it back from shards. The reference's files hold only
// what the reference has.
package eval

import (
	"context"
	"fmt"

	"barka/internal/eval/prompt"
	"barka/internal/eval/record"
	"barka/internal/score"
)

// Types of the record that a Model uses.
type (
	Request   = record.Request
	Score     = record.Score
	ModelInfo = record.ModelInfo
	Failure   = record.Failure
)

// Types that make a Model's prompts.
type (
	Tokenizer     = prompt.Tokenizer
	ChatTemplater = prompt.ChatTemplater
)

// Model is what evaluation needs of a language model.
type Model interface {
	// Name is the model's name in results and in the names of their directories; see
	// lighteval.ModelName for models in directories.
	Name() string
	// Info describes the model in config_general and identifies its scores.
	Info() ModelInfo
	// MaxLength is the largest number of tokens of one input.
	MaxLength() int
	Tokenizer() Tokenizer
	// Score passes the score of each request to done, in any order and from any
	// goroutine, and ends at the first error, also of done. It is called with all
	// missing requests of a task at once, so that it can share their prefixes.
	Score(ctx context.Context, reqs []Request, done func(i int, s Score) error) error
}

// Planner is a Model that describes its batches. Estimates assume that any other Model
// runs each request separately.
type Planner interface {
	ScoreOptions() score.Options
}

// RequestError is an error of one request. Its task is left out and the others
// run; with Stop, the run ends.
type RequestError struct {
	Index int // in the requests passed to Score
	Err   error
	Stop  bool
}

func (r *RequestError) Error() string { return fmt.Sprintf("request %d: %v", r.Index, r.Err) }
func (r *RequestError) Unwrap() error { return r.Err }

// describe returns the record of a model.
func describe(m Model) record.Model {
	return record.Model{Name: m.Name(), Info: m.Info(), MaxLength: m.MaxLength(), EOS: m.Tokenizer().EOS()}
}
