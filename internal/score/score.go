// Package score computes log-likelihoods of continuations: what
// multiple-choice evaluation is made of.
package score

import (
	"context"
	"fmt"
	"slices"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
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
	// Whole makes them an error instead.
	Whole bool
	// BatchTokens bounds one forward pass; zero means 2,048.
	BatchTokens int
	// Apart runs every request by itself, also what it shares with others: for
	// comparison, since the results are the same to the bit.
	Apart bool
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
		if cut := results[i].Truncated; s.Whole && cut > 0 {
			return nil, badinput.Errorf("request %d: context and continuation have %d tokens before the last, the model reads at most %d", i, len(it.input)+cut, len(it.input))
		}
		if tokens+s.more(batch, it) > budget {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		tokens += s.more(batch, it)
		batch = append(batch, it)
	}
	return results, flush()
}

// more is the number of tokens that an item adds to a batch, by what it has in
// common with the one before it.
func (s *Scorer) more(batch []item, it item) int {
	if s.Apart || len(batch) == 0 {
		return len(it.input)
	}
	return len(it.input) - CommonPrefix(batch[len(batch)-1].input, it.input)
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

// run scores a batch in one forward pass.
func (s *Scorer) run(batch []item, results []Result) error {
	asked := slices.DeleteFunc(slices.Clone(batch), func(it item) bool { return len(it.targets) == 0 })
	if len(asked) == 0 {
		return nil
	}
	var t tree
	if s.Apart {
		for i := range asked {
			t.grow(asked[i:i+1], 0, nil)
		}
	} else {
		slices.SortStableFunc(asked, func(a, b item) int { return slices.Compare(a.input, b.input) })
		t.grow(asked, 0, nil)
	}
	var rows, targets []int32
	for i, it := range asked {
		first := len(it.input) - len(it.targets)
		rows = append(rows, t.rows[i][first:]...)
		targets = append(targets, it.targets...)
	}
	layout := t.layout()
	dev := s.Model.Device()
	h, _, err := s.Model.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, t.tokens, nil)
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
	for _, it := range asked {
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
