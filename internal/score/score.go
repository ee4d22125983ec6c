// Package score computes log-likelihoods of continuations: what
// multiple-choice evaluation is made of.
package score

import (
	"context"
	"fmt"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Request asks for the log-likelihood of Continuation after Context, both as
// tokens. Context must not be empty.
type Request struct{ Context, Continuation []int32 }

// Result answers a Request.
type Result struct {
	// LogProb is the sum over the continuation's tokens; an empty
	// continuation has 0.
	LogProb float64
	// Greedy says whether every continuation token is the most likely one.
	Greedy bool
	// Tokens holds each token's natural log-probability.
	Tokens []float32
	// Truncated counts the context tokens cut from the left to fit.
	Truncated int
}

// Scorer scores requests with a causal model in ragged batches.
type Scorer struct {
	Model model.Decoder
	// MaxLength bounds context plus continuation minus one; zero means the
	// model's limit. Longer inputs lose the left end of their context.
	MaxLength int
	// BatchTokens bounds one forward pass; zero means 2,048.
	BatchTokens int
}

// item is a request laid out for the model: input tokens, and how many of
// the last rows predict the continuation.
type item struct {
	index   int
	input   []int32
	targets []int32
}

// LogLikelihoods answers every request, in order. done, if not nil, is told
// how many requests each batch answered.
func (s *Scorer) LogLikelihoods(ctx context.Context, reqs []Request, done func(n int)) ([]Result, error) {
	results := make([]Result, len(reqs))
	budget := s.BatchTokens
	if budget <= 0 {
		budget = 2048
	}
	var batch []item
	tokens := 0
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.run(batch, results); err != nil {
			return err
		}
		if done != nil && len(batch) > 0 {
			done(len(batch))
		}
		batch, tokens = batch[:0], 0
		return nil
	}
	for i, r := range reqs {
		if len(r.Context) == 0 {
			return nil, fmt.Errorf("request %d: empty context; start it with the model's beginning or end token", i)
		}
		it := s.layout(i, r, &results[i])
		if tokens+len(it.input) > budget {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		batch = append(batch, it)
		tokens += len(it.input)
	}
	return results, flush()
}

// layout joins context and continuation, drops the last token, which nothing
// follows, and cuts the left end to the allowed length.
func (s *Scorer) layout(index int, r Request, res *Result) item {
	limit := s.MaxLength
	if limit <= 0 {
		limit = s.Model.Info().MaxPositions
	}
	res.Greedy = true
	joined := make([]int32, 0, len(r.Context)+len(r.Continuation))
	joined = append(append(joined, r.Context...), r.Continuation...)
	input := joined[:len(joined)-1]
	if len(r.Continuation) == 0 {
		input = joined
	}
	if limit > 0 && len(input) > limit {
		res.Truncated = len(input) - limit
		input = input[res.Truncated:]
	}
	targets := r.Continuation
	if len(targets) > len(input) {
		targets = targets[:len(input)]
	}
	return item{index, input, targets}
}

func (s *Scorer) run(batch []item, results []Result) error {
	var tokens, rows, targets []int32
	var lengths []int
	for _, it := range batch {
		start := len(tokens)
		tokens = append(tokens, it.input...)
		lengths = append(lengths, len(it.input))
		first := start + len(it.input) - len(it.targets)
		for j, t := range it.targets {
			rows = append(rows, int32(first+j))
			targets = append(targets, t)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	layout := tensor.Packed(lengths...)
	dev := s.Model.Device()
	h, _, err := s.Model.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, tokens, nil)
	if err != nil {
		return err
	}
	defer dev.Free(h)
	picked := dev.Alloc(len(rows), h.Cols)
	defer dev.Free(picked)
	dev.Gather(picked, h, rows)
	head, softcap := s.Model.Head()
	logp, greedy := make([]float32, len(rows)), make([]bool, len(rows))
	dev.LogProbs(logp, greedy, picked, head, targets, softcap)
	at := 0
	for _, it := range batch {
		r := &results[it.index]
		for range it.targets {
			r.Tokens = append(r.Tokens, logp[at])
			r.LogProb += float64(logp[at])
			r.Greedy = r.Greedy && greedy[at]
			at++
		}
	}
	return nil
}
