// Package generate decodes: greedy search and sampling with a causal model, by
// continuous batching over a KV cache, and beam search with an encoder-decoder model. A
// result depends only on its request, never on the requests that share a batch with it.
package generate

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Request is one prompt to continue.
type Request struct {
	Prompt       []int32
	MaxNewTokens int
	Stop         []int32 // tokens that end the answer; they are not part of it
	Sampling     Sampling

	// Tokenizer, if not nil, decodes the answer's text, without special tokens.
	Tokenizer *tokenizer.Tokenizer
	// StopStrings end the answer. Its text is cut before the first of them.
	// They need a Tokenizer; empty ones are ignored.
	StopStrings []string
	// OnText is called with the text as it becomes final: never with part of a
	// character, never with the start of a stop string that may still complete.
	// The pieces concatenate to Result.Text. OnToken is called with each token.
	// The engine waits for both.
	OnText  func(text string)
	OnToken func(token int32)
}

// Finish reasons, in the words of the OpenAI API.
const (
	FinishStop   = "stop"
	FinishLength = "length"
)

// Result is the continuation of one prompt.
type Result struct {
	// Tokens holds all tokens of the answer, including those of a stop string.
	Tokens   []int32
	LogProbs []float32 // natural log-probability of each token under the model
	Text     string    // if the request has a Tokenizer
	Finish   string    // FinishStop or FinishLength
}

// check refuses a request that a model with the given number of positions
// (0: no limit) and vocabulary cannot answer.
func (r *Request) check(positions, vocabulary int) error {
	switch {
	case len(r.Prompt) == 0:
		return badinput.Errorf("the prompt has no tokens")
	case positions > 0 && len(r.Prompt) >= positions:
		return badinput.Errorf("the prompt has %d tokens, but the model has %d positions and the answer needs one of them; shorten the prompt",
			len(r.Prompt), positions)
	case r.MaxNewTokens <= 0:
		return badinput.Errorf("max tokens is %d, expected a positive number", r.MaxNewTokens)
	case len(r.StopStrings) > 0 && r.Tokenizer == nil:
		return fmt.Errorf("stop strings need a tokenizer")
	}
	for _, t := range r.Prompt {
		if t < 0 || int(t) >= vocabulary {
			return badinput.Errorf("token %d of the prompt is not in the model's vocabulary of %d", t, vocabulary)
		}
	}
	return r.Sampling.Validate()
}

// rows returns the largest number of cache rows that the request can need. The
// last token is never run, so it needs none.
func (r *Request) rows(positions int) int {
	n := len(r.Prompt) + min(r.MaxNewTokens, 1<<30) - 1
	if positions > 0 {
		n = min(n, positions)
	}
	return n
}

// Generator continues a given set of prompts. It runs an Engine for one call.
type Generator struct {
	Model model.Decoder
	// These are the fields of Engine.
	MaxSequences, MaxBatchTokens, Threads int
	NoPrefixSharing                       bool
	// CacheBytes bounds the key/value cache; zero means the memory that the
	// requests need.
	CacheBytes int64
}

// Run continues every request and returns the results in their order. onToken,
// if not nil, is called with each token as it is chosen. If ctx is cancelled,
// the run ends with its error.
func (g *Generator) Run(ctx context.Context, reqs []Request, onToken func(request int, token int32)) ([]Result, error) {
	e := &Engine{Model: g.Model, MaxSequences: g.MaxSequences, MaxBatchTokens: g.MaxBatchTokens,
		Threads: g.Threads, NoPrefixSharing: g.NoPrefixSharing, CacheBytes: g.CacheBytes}
	if g.CacheBytes == 0 {
		e.rows = g.rows(reqs)
	}
	defer e.Close()
	for i := range reqs {
		if err := e.check(&reqs[i]); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	calls := make([]*Call, len(reqs))
	for i, r := range reqs {
		if onToken != nil {
			tell := r.OnToken
			r.OnToken = func(t int32) {
				if tell != nil {
					tell(t)
				}
				onToken(i, t)
			}
		}
		var err error
		if calls[i], err = e.Submit(ctx, r); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	results := make([]Result, len(reqs))
	for i, c := range calls {
		var err error
		if results[i], err = c.Wait(); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// rows returns the cache rows that the largest requests need when they run
// together. It is a power of two, so that the next run can reuse the memory.
func (g *Generator) rows(reqs []Request) int {
	need := make([]int, len(reqs))
	for i := range reqs {
		need[i] = reqs[i].rows(g.Model.Info().MaxPositions)
	}
	slices.Sort(need)
	sum := 64
	for _, n := range need[max(0, len(need)-maxSequences(g.MaxSequences)):] {
		sum += n
	}
	return 1 << bits.Len(uint(sum-1))
}
