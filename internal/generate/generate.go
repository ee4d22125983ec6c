// Package generate decodes: greedy and sampled text of a causal model with
// ragged batches over a key/value cache, and beam search of an
// encoder-decoder model. What a request yields depends on the request alone,
// never on its neighbours in a batch.
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
	Prompt    []int32
	MaxTokens int
	Stop      []int32 // tokens that end the answer; they are not part of it
	Sampling  Sampling

	// Tokenizer, if not nil, makes the answer's text, without special tokens.
	Tokenizer *tokenizer.Tokenizer
	// StopStrings end the answer and its text before the first of them; they
	// need a Tokenizer. Empty ones are ignored.
	StopStrings []string
	// OnText is told the text as it becomes certain: never a part of a
	// character, never the beginning of a stop string that may still come.
	// Together the pieces are Result.Text. OnToken is told of each token.
	// Both are called from the engine, which waits for them.
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
	// Tokens holds all tokens of the answer, those of a stop string too.
	Tokens   []int32
	LogProbs []float32 // natural log-probability of each token under the model
	Text     string    // with a Tokenizer
	Finish   string
}

// check reports what makes no sense for a model of so many positions (0: no
// limit).
func (r *Request) check(positions, vocabulary int) error {
	switch {
	case len(r.Prompt) == 0:
		return badinput.Errorf("the prompt has no tokens")
	case positions > 0 && len(r.Prompt) >= positions:
		return badinput.Errorf("the prompt has %d tokens, the model's limit is %d positions, of which the answer needs at least one; shorten it", len(r.Prompt), positions)
	case r.MaxTokens <= 0:
		return badinput.Errorf("max tokens is %d, expected a positive number", r.MaxTokens)
	case len(r.StopStrings) > 0 && r.Tokenizer == nil:
		return fmt.Errorf("stop strings need a tokenizer")
	}
	for _, t := range r.Prompt {
		if t < 0 || int(t) >= vocabulary {
			return badinput.Errorf("token %d of the prompt is not in the model's vocabulary of %d", t, vocabulary)
		}
	}
	return r.Sampling.check()
}

// rows is the most cache rows that the request can need: its last token is
// never run.
func (r *Request) rows(positions int) int {
	n := len(r.Prompt) + min(r.MaxTokens, 1<<30) - 1
	if positions > 0 {
		n = min(n, positions)
	}
	return n
}

// Generator continues a given set of prompts: an Engine for once.
type Generator struct {
	Model model.Decoder
	// MaxSequences, MaxTokens, Threads and Apart are those of Engine.
	MaxSequences, MaxTokens, Threads int
	Apart                            bool
	// CacheBytes bounds the key/value cache; zero means what the requests
	// need.
	CacheBytes int64
}

// Run continues every request; results are in their order. onToken, if not
// nil, is told of each token as it is chosen. A cancelled context ends the
// run with its error.
func (g *Generator) Run(ctx context.Context, reqs []Request, onToken func(request int, token int32)) ([]Result, error) {
	e := &Engine{Model: g.Model, MaxSequences: g.MaxSequences, MaxTokens: g.MaxTokens, Threads: g.Threads, Apart: g.Apart, CacheBytes: g.CacheBytes}
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

// rows is what the largest requests that can run together need, as a power of
// two, so that one run's memory fits the next one.
func (g *Generator) rows(reqs []Request) int {
	need := make([]int, len(reqs))
	for i := range reqs {
		need[i] = reqs[i].rows(g.Model.Info().MaxPositions)
	}
	slices.Sort(need)
	sum := 64
	for _, n := range need[max(0, len(need)-sequences(g.MaxSequences)):] {
		sum += n
	}
	return 1 << bits.Len(uint(sum-1))
}
