package score

import (
	"fmt"
	"slices"

	"barka/internal/badinput"
)

// Options controls the layout of requests for a model: what is cut, which requests run
// in one batch, and what one batch keeps for the next.
type Options struct {
	// MaxLength bounds context plus continuation minus one, in tokens. Longer
	// inputs lose the left end of their context. Zero means no bound.
	MaxLength int
	// NoTruncation makes inputs longer than MaxLength an error.
	NoTruncation bool
	// MaxBatchTokens bounds the tokens of one forward pass; zero means 2,048, or on a GPU what
	// model.PassTokens returns. A single request may exceed it.
	MaxBatchTokens int
	// KeepTokens bounds the tokens whose keys and values are kept for the next
	// batch. If it is negative, none are kept.
	KeepTokens int
	// NoPrefixSharing runs every request separately. It is meant for comparison: the
	// results are equal bit for bit.
	NoPrefixSharing bool
	// Ranks requests Result.Ranks.
	Ranks bool
}

// batchTokens bounds the tokens of a pass on the CPU.
const batchTokens = 2048

// item is a request laid out for the model. The last len(targets) rows of its
// input predict the targets.
type item struct {
	index   int // of the request
	input   []int32
	targets []int32
	cut     int // context tokens cut from the left
}

// batch holds the items of one forward pass.
type batch struct {
	items  []item  // sorted by input
	prefix []int32 // tokens whose keys and values the previous batch kept
	keep   int     // leading tokens of the last item's input kept for the next batch
}

// layout joins context and continuation, drops the last token, which predicts
// nothing, and cuts the left end to the allowed length.
func (o *Options) layout(index int, r Request) (item, error) {
	if len(r.Context) == 0 {
		return item{}, fmt.Errorf("request %d: empty context; start it with the model's beginning or end token", index)
	}
	it := item{index: index, input: r.Input(), targets: r.Continuation}
	if o.MaxLength > 0 && len(it.input) > o.MaxLength {
		if o.NoTruncation {
			return it, badinput.Errorf("request %d: context and continuation have %d tokens before the last, expected at most %d, the "+
				"longest input of the model; shorten them", index, len(it.input), o.MaxLength)
		}
		it.cut = len(it.input) - o.MaxLength
		it.input = it.input[it.cut:]
	}
	it.targets = it.targets[:min(len(it.targets), len(it.input))]
	return it, nil
}

// batches sorts items by their inputs, so that items with a common prefix are
// neighbours, and cuts the list where the tokens to run fill a pass. The common
// prefix of two neighbours across a cut is kept between the two batches.
func (o *Options) batches(items []item) []batch {
	budget := o.MaxBatchTokens
	if budget <= 0 {
		budget = batchTokens
	}
	most := max(o.KeepTokens, 0)
	if !o.NoPrefixSharing {
		slices.SortStableFunc(items, func(a, b item) int { return slices.Compare(a.input, b.input) })
	}
	var out []batch
	first, tokens := 0, 0
	for i, it := range items {
		shared := 0
		if i > 0 && !o.NoPrefixSharing {
			shared = CommonPrefix(items[i-1].input, it.input)
		}
		if fresh := len(it.input) - shared; i > first && tokens+fresh > budget {
			out = append(out, batch{items: items[first:i]})
			first, tokens = i, 0
		}
		if i == first {
			shared = min(shared, most)
		}
		tokens += len(it.input) - shared
	}
	if len(items) > 0 {
		out = append(out, batch{items: items[first:]})
	}
	for i := 1; i < len(out) && !o.NoPrefixSharing; i++ {
		last := out[i-1].items[len(out[i-1].items)-1].input
		out[i-1].keep = usable(out[i].items, last[:min(most, len(last))])
		out[i].prefix = last[:out[i-1].keep]
	}
	return out
}

// shrink makes the batches of the next layout smaller than b, for which the device's memory was too
// short. It reports whether that is possible. Results do not depend on batches.
func (o *Options) shrink(b *batch) bool {
	if len(b.items) > 1 {
		o.MaxBatchTokens = max(len(b.tree(o.NoPrefixSharing).tokens)/2, 1)
		return true
	}
	keeps := b.keep > 0
	o.KeepTokens = -1
	return keeps
}

// usable returns how many leading tokens of input the items can reuse from the
// cache. Rows that predict a target are excluded: they must be in the pass that
// scores them.
func usable(items []item, input []int32) int {
	n := CommonPrefix(input, items[0].input)
	for _, it := range items {
		if predicts := len(it.input) - len(it.targets); predicts < n && predicts < CommonPrefix(input[:n], it.input) {
			n = predicts
		}
	}
	return n
}

// tree returns the batch's prefix tree.
func (b *batch) tree(noSharing bool) *tree {
	t := &tree{prefix: b.prefix}
	if noSharing {
		for i := range b.items {
			t.grow(b.items[i:i+1], 0, nil)
		}
	} else {
		t.grow(b.items, 0, nil)
	}
	return t
}

// items lays out the requests that have a continuation, and returns the number of
// tokens cut from the context of every request.
func (o *Options) items(reqs []Request) (items []item, cuts []int, err error) {
	cuts = make([]int, len(reqs))
	for i, r := range reqs {
		it, err := o.layout(i, r)
		if err != nil {
			return nil, nil, err
		}
		if cuts[i] = it.cut; len(it.targets) > 0 {
			items = append(items, it)
		}
	}
	return items, cuts, nil
}

// Work is the cost of answering some requests, in tokens.
type Work struct {
	Tokens      int // tokens run through the model
	LargestPass int // most tokens in one pass
	LargestHead int // most predicted targets in one pass
	Kept        int // most tokens kept from one pass for the next
}

// Work lays out the requests and returns their cost. It runs nothing.
func (o *Options) Work(reqs []Request) (w Work, err error) {
	items, _, err := o.items(reqs)
	for _, b := range o.batches(items) {
		n, rows := len(b.tree(o.NoPrefixSharing).tokens), 0
		for _, it := range b.items {
			rows += len(it.targets)
		}
		w.Tokens += n
		w.LargestPass, w.LargestHead, w.Kept = max(w.LargestPass, n), max(w.LargestHead, rows), max(w.Kept, b.keep)
	}
	return w, err
}
