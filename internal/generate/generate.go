// Package generate decodes: greedy and sampled text of a causal model with
// ragged batches over a key/value cache, and beam search of an
// encoder-decoder model. What a request yields depends on the request alone,
// never on its neighbours in a batch.
package generate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Sampling says how the next token is chosen. Temperature 0 is greedy.
type Sampling struct {
	Temperature       float64
	TopP              float64 // 0 or 1: off
	TopK              int     // 0: off
	RepetitionPenalty float64 // 0 or 1: off; as in CTRL (Keskar et al., 2019)
	Seed              int64
}

// Request is one prompt to continue.
type Request struct {
	Prompt    []int32
	MaxTokens int
	Stop      []int32 // tokens that end the answer; they are not part of it
	Sampling  Sampling
	// Until ends the answer early when it returns true of the tokens so far.
	Until func(tokens []int32) bool
}

// Finish reasons, in the words of the OpenAI API.
const (
	FinishStop   = "stop"
	FinishLength = "length"
)

// Result is the continuation of one prompt.
type Result struct {
	Tokens   []int32
	LogProbs []float32 // natural log-probability of each token under the model
	Finish   string
}

// Generator continues prompts with a causal model.
type Generator struct {
	Model model.Decoder
	// MaxSequences and MaxTokens bound one forward pass; zero means 32
	// sequences and 512 tokens.
	MaxSequences, MaxTokens int
}

// sequence is a request being decoded.
type sequence struct {
	index   int
	req     *Request
	pending []int32 // tokens not yet run
	rows    []int32 // cache rows of the tokens already run
	seen    map[int32]bool
	rng     *rand.Rand
	result  Result
}

// Run continues every request. onToken, if not nil, is told of each token as
// it is chosen. A cancelled context ends the run with its error.
func (g *Generator) Run(ctx context.Context, reqs []Request, onToken func(request int, token int32)) ([]Result, error) {
	if err := g.check(reqs); err != nil {
		return nil, err
	}
	maxSequences, maxTokens := g.MaxSequences, g.MaxTokens
	if maxSequences <= 0 {
		maxSequences = 32
	}
	if maxTokens <= 0 {
		maxTokens = 512
	}
	cache := g.Model.NewCache()
	defer cache.Free()
	results := make([]Result, len(reqs))
	var active []*sequence
	for next := 0; next < len(reqs) || len(active) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for next < len(reqs) && len(active) < maxSequences {
			active = append(active, newSequence(next, &reqs[next]))
			next++
		}
		if err := g.step(active, cache, maxTokens, onToken); err != nil {
			return nil, err
		}
		active = slices.DeleteFunc(active, func(s *sequence) bool {
			if s.result.Finish == "" {
				return false
			}
			cache.Release(s.rows)
			results[s.index] = s.result
			return true
		})
	}
	return results, nil
}

func (g *Generator) check(reqs []Request) error {
	limit := g.Model.Info().MaxPositions
	for i, r := range reqs {
		switch {
		case len(r.Prompt) == 0:
			return fmt.Errorf("request %d: the prompt has no tokens", i)
		case limit > 0 && len(r.Prompt) >= limit:
			return fmt.Errorf("request %d: the prompt has %d tokens, the model's limit is %d positions", i, len(r.Prompt), limit)
		case r.MaxTokens <= 0:
			return fmt.Errorf("request %d: max tokens is %d, expected a positive number", i, r.MaxTokens)
		}
	}
	return nil
}

func newSequence(index int, req *Request) *sequence {
	s := &sequence{index: index, req: req, pending: slices.Clone(req.Prompt)}
	s.rng = rand.New(rand.NewPCG(uint64(req.Sampling.Seed), 0x6261726b61))
	if p := req.Sampling.RepetitionPenalty; p > 0 && p != 1 {
		s.seen = map[int32]bool{}
		for _, t := range req.Prompt {
			s.seen[t] = true
		}
	}
	return s
}

// step runs one forward pass: a token of each decoding sequence and as much
// of the waiting prompts as fits; then every sequence whose tokens have all
// been run gets its next one.
func (g *Generator) step(active []*sequence, cache *model.Cache, maxTokens int, onToken func(int, int32)) error {
	var tokens, ends []int32
	var ready []*sequence
	layout := tensor.Layout{Starts: []int32{0}}
	p := &nn.Pass{Dev: g.Model.Device(), Layout: &layout}
	for _, s := range active {
		n := min(len(s.pending), maxTokens-len(tokens))
		if n == 0 {
			continue
		}
		past := len(s.rows)
		rows := cache.Reserve(n)
		s.rows = append(s.rows, rows...)
		tokens = append(tokens, s.pending[:n]...)
		s.pending = s.pending[n:]
		p.Rows = append(p.Rows, rows...)
		layout.Starts = append(layout.Starts, int32(len(tokens)))
		layout.Past = append(layout.Past, int32(past))
		layout.Keys = append(layout.Keys, s.rows)
		if len(s.pending) == 0 {
			ready = append(ready, s)
			ends = append(ends, int32(len(tokens)-1))
		}
	}
	p.Positions = layout.Positions()
	h, _, err := g.Model.Forward(p, tokens, cache)
	if err != nil {
		return err
	}
	dev := g.Model.Device()
	defer dev.Free(h)
	if len(ready) == 0 {
		return nil
	}
	last := dev.Alloc(len(ready), h.Cols)
	defer dev.Free(last)
	dev.Gather(last, h, ends)
	choices := g.choose(ready, last)
	for i, s := range ready {
		s.accept(choices[i], g.Model.Info().MaxPositions)
		if onToken != nil && s.result.Finish != FinishStop {
			onToken(s.index, choices[i].token)
		}
	}
	return nil
}

// accept takes the chosen token and decides whether the answer ends.
func (s *sequence) accept(c choice, maxPositions int) {
	if slices.Contains(s.req.Stop, c.token) {
		s.result.Finish = FinishStop
		return
	}
	s.result.Tokens = append(s.result.Tokens, c.token)
	s.result.LogProbs = append(s.result.LogProbs, c.logp)
	if s.seen != nil {
		s.seen[c.token] = true
	}
	switch {
	case s.req.Until != nil && s.req.Until(s.result.Tokens):
		s.result.Finish = FinishStop
	case len(s.result.Tokens) >= s.req.MaxTokens, maxPositions > 0 && len(s.rows)+1 >= maxPositions:
		s.result.Finish = FinishLength
	default:
		s.pending = append(s.pending[:0], c.token)
	}
}
