// Package eval runs the Open Arabic LLM Leaderboard's multiple-choice tasks
// as lighteval did between May and July 2024, to the byte: prompts, token
// borders, truncation, metrics, digests and files. The tasks of the
// leaderboard's version 2 have the prompts, borders and metrics of lighteval
// of 2025, and the files of 2024.
//
// What is not in the reference, request sharing, resumption, baselines and
// the leaderboard's own table, is kept out of the reference's files.
package eval

import (
	"context"
	"fmt"

	"barka/internal/chat"
	"barka/internal/score"
)

// Model is what evaluation needs of a language model.
type Model interface {
	// Name appears in results and in the names of their directories; see
	// ModelName for directories.
	Name() string
	// Info describes the model in config_general and identifies its scores.
	Info() ModelInfo
	// MaxLength is the largest number of tokens of one input.
	MaxLength() int
	Tokenizer() Tokenizer
	// Score hands the score of each request to done, in any order and from any
	// goroutine, and ends at the first error, done's too. It is given all of a
	// task at once, so that it can find what requests share.
	Score(ctx context.Context, reqs []Request, done func(i int, s Score) error) error
}

// ModelInfo describes a model.
type ModelInfo struct {
	// SHA is the revision on the hub, empty when there is none.
	SHA string
	// DType is the number type of the weights in the reference's spelling,
	// such as torch.bfloat16.
	DType string
	// Size is the memory of the weights, such as "17.21 GB"; see FormatBytes.
	Size string
	// Digest identifies the weights and AdapterDigest the adapter on top,
	// empty without one. Scores are reused only under equal digests, DType
	// and MaxLength.
	Digest, AdapterDigest string
	// Paid says that every answer has a price: none is asked for without need.
	Paid bool `json:",omitempty"`
}

// Tokenizer turns text into tokens.
type Tokenizer interface {
	// Encode returns the tokens of text; addSpecial adds what the model's
	// template adds around a text, such as a beginning token.
	Encode(text string, addSpecial bool) []int32
	// EOS is the end-of-text token. It also pads.
	EOS() int32
}

// ChatTemplater is a Model that can render a conversation.
type ChatTemplater interface {
	// ApplyChatTemplate renders the messages and opens the assistant's turn.
	ApplyChatTemplate(messages []chat.Message) (string, error)
}

// Request asks for the log-likelihood of Continuation after Context. Both
// together, without the last token, may exceed the model's MaxLength; the
// left end of the context is then cut.
type Request struct{ Context, Continuation []int32 }

// Score answers a Request.
type Score struct {
	// LogProb is the natural logarithm of the continuation's probability.
	LogProb float64
	// Greedy says whether each of its tokens was the most likely one.
	Greedy bool
	// PerToken holds the terms of LogProb; it may be nil.
	PerToken []float64
}

// Planner is a Model that says how it lays out requests; what one that does
// not runs is taken for each request by itself.
type Planner interface {
	Plan() score.Plan
}

// RequestError is an error of one request: its task is left out and the
// others run, or, with Stop, nothing does.
type RequestError struct {
	Index int // among the requests asked
	Err   error
	Stop  bool
}

func (r *RequestError) Error() string { return fmt.Sprintf("request %d: %v", r.Index, r.Err) }
func (r *RequestError) Unwrap() error { return r.Err }
