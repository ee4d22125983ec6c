// Package score computes log-likelihoods of continuations, the quantity that
// multiple-choice evaluation compares.
package score

import (
	"cmp"
	"context"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Request asks for the log-likelihood of Continuation after Context, both in
// tokens. Context must not be empty.
type Request struct{ Context, Continuation []int32 }

// Input returns the tokens that a model reads to answer the request: all but
// the last token of the continuation, which is only predicted.
func (r Request) Input() []int32 {
	joined := make([]int32, 0, len(r.Context)+len(r.Continuation))
	joined = append(append(joined, r.Context...), r.Continuation...)
	return joined[:len(r.Context)+max(0, len(r.Continuation)-1)]
}

// Result answers a Request.
type Result struct {
	// LogProb is the sum over the continuation's tokens; 0 for an empty one.
	LogProb float64
	// Greedy reports whether every continuation token is the most likely one.
	Greedy bool
	// Tokens holds the natural log-probability of each continuation token.
	Tokens []float32
	// Ranks holds the rank of each continuation token if Options.Ranks is set: 1 for the
	// most likely one. Among equal logits the lower token ranks first.
	Ranks []int32
	// Truncated counts the context tokens cut from the left to fit.
	Truncated int
}

// Scorer scores requests with a causal model in ragged batches. A prefix that
// inputs share is run once: within a batch by a prefix tree, and from one batch
// to the next by keeping the keys and values of the shared prefix.
type Scorer struct {
	Model model.Decoder
	Options
}

// Default sets the options that depend on the model. A MaxLength of zero becomes the
// model's limit. A KeepTokens of zero becomes the number of tokens whose cache rows, of
// rowBytes each, take a sixteenth of the weights' memory.
func (o Options) Default(i model.Info, rowBytes int64) Options {
	if o.MaxLength <= 0 {
		o.MaxLength = i.MaxPositions
	}
	if o.KeepTokens == 0 {
		o.KeepTokens = int(i.Parameters * int64(i.DType.Size()) / 16 / rowBytes)
	}
	return o
}

// LogLikelihoods answers every request, in order. done, if not nil, is called with the
// number of requests answered since its last call.
func (s *Scorer) LogLikelihoods(ctx context.Context, reqs []Request, done func(n int)) ([]Result, error) {
	results := make([]Result, len(reqs))
	return results, s.Each(ctx, reqs, func(i int, r Result) error {
		results[i] = r
		if done != nil {
			done(1)
		}
		return nil
	})
}

// Each answers every request and calls done with each result, batch by batch
// and not in the order of reqs. It stops when done returns an error. The more
// requests it is given at once, the more prefixes they can share.
func (s *Scorer) Each(ctx context.Context, reqs []Request, done func(i int, r Result) error) (err error) {
	defer tensor.Guard(&err)
	cache := s.Model.NewCache()
	defer cache.Free()
	o := s.Options.Default(s.Model.Info(), cache.RowBytes())
	if o.MaxBatchTokens <= 0 {
		o.MaxBatchTokens = model.PassTokens(s.Model.Device(), s.Model.Info(), batchTokens)
	}
	items, cuts, err := o.items(reqs)
	if err != nil {
		return err
	}
	for i, r := range reqs {
		if len(r.Continuation) == 0 {
			if err := done(i, Result{Greedy: true, Truncated: cuts[i]}); err != nil {
				return err
			}
		}
	}
	run := &round{s: s, o: o, cache: cache, done: done}
	for len(items) > 0 && err == nil {
		items, err = run.batches(ctx, items)
	}
	return err
}

// round answers requests batch by batch.
type round struct {
	s     *Scorer
	o     Options
	cache *model.Cache
	done  func(i int, r Result) error
	rows  int      // reserved in the cache
	last  *running // a batch whose results have not been read
}

// batches runs items and returns none of them, or those from a batch on for which the device's memory
// was too short. They can be run again, in smaller batches.
func (r *round) batches(ctx context.Context, items []item) (rest []item, err error) {
	for _, b := range r.o.batches(items) {
		if err := ctx.Err(); err != nil {
			return nil, cmp.Or(r.deliver(), err)
		}
		next, err := r.start(&b)
		if tensor.OutOfMemory(err) {
			if r.o.shrink(&b) {
				return items, nil
			}
			return nil, cmp.Or(r.deliver(), err) // the device works on
		}
		if err != nil {
			return nil, err
		}
		items = items[len(b.items):]
		// The device has the next batch. Only now does it make sense to wait for the last one.
		if err := r.deliver(); err != nil {
			return nil, err
		}
		if r.last = next; next.scores.Known() {
			if err := r.deliver(); err != nil {
				return nil, err
			}
		}
	}
	return nil, r.deliver()
}

// deliver calls done with the results that have not been read.
func (r *round) deliver() error {
	last := r.last
	r.last = nil
	return last.deliver(r.done)
}

// running is a batch whose scores the device may still be computing.
type running struct {
	items  []item
	scores tensor.Pending[tensor.Scores]
}

// start runs a batch in one forward pass. A pass that fails may have overwritten what the one before
// kept.
func (r *round) start(b *batch) (_ *running, err error) {
	s, cache, dev := r.s, r.cache, r.s.Model.Device()
	defer tensor.Reclaim(dev, tensor.Mark(dev), &err)
	if b.keep > r.rows {
		cache.Reserve(b.keep - r.rows)
		r.rows = b.keep
	}
	t := b.tree(r.o.NoPrefixSharing)
	var rows, targets []int32
	for i, it := range b.items {
		for _, r := range t.rows[i][len(it.input)-len(it.targets):] {
			rows = append(rows, r-int32(len(b.prefix)))
		}
		targets = append(targets, it.targets...)
	}
	layout := t.layout()
	pass := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), PrefixRows: len(b.prefix), Keep: t.rows[len(t.rows)-1][:b.keep]}
	if len(b.prefix) == 0 && b.keep == 0 {
		cache = nil
	}
	h, _, err := s.Model.Forward(pass, t.tokens, cache)
	if err != nil {
		return nil, err
	}
	picked := dev.Alloc(len(rows), h.Cols)
	lists := dev.Prepare(tensor.Batch{Picked: tensor.Ints{Host: rows}, Targets: tensor.Ints{Host: targets}})
	defer dev.Free(h, picked, lists.Memory)
	dev.Gather(picked, h, lists.Picked)
	head, softcap := s.Model.Head()
	return &running{b.items, dev.LogProbs(picked, head, lists.Targets, softcap, s.Ranks)}, nil
}

// deliver calls done with the result of each item. It waits for the device if necessary. A nil
// batch has no items.
func (r *running) deliver(done func(i int, r Result) error) error {
	if r == nil {
		return nil
	}
	scores, at := r.scores.Get(), 0
	for _, it := range r.items {
		if err := done(it.index, it.result(scores, at)); err != nil {
			return err
		}
		at += len(it.targets)
	}
	return nil
}

// result returns the result of an item whose scores begin at a place.
func (it *item) result(scores tensor.Scores, at int) Result {
	end := at + len(it.targets)
	r := Result{Greedy: true, Truncated: it.cut, Tokens: scores.LogP[at:end:end]}
	if scores.Ranks != nil {
		r.Ranks = scores.Ranks[at:end]
	}
	for i, p := range r.Tokens {
		r.LogProb += float64(p)
		r.Greedy = r.Greedy && scores.Greedy[at+i]
	}
	return r
}
