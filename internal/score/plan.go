package score

import (
	"fmt"
	"slices"

	"barka/internal/badinput"
)

// Plan says how requests are laid out for a model: what is cut, which are run
// together, and what is kept from one batch for the next.
type Plan struct {
	// MaxLength bounds context plus continuation minus one; longer inputs lose
	// the left end of their context. 0: no bound.
	MaxLength int
	// Whole makes them an error instead.
	Whole bool
	// BatchTokens bounds the tokens that one forward pass runs; zero means
	// 2,048. A single request may exceed it.
	BatchTokens int
	// Keep bounds the tokens of which keys and values are kept for the next
	// batch; below zero none are.
	Keep int
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
	cut     int
}

// batch is what one forward pass runs: items by their inputs in order, and how
// much of the last one's input the next batch begins with.
type batch struct {
	items []item
	trunk []int32 // kept from the batch before
	keep  int     // of the last item's input, for the next
}

// layout joins context and continuation, drops the last token, which nothing
// follows, and cuts the left end to the allowed length.
func (p *Plan) layout(index int, r Request) (item, error) {
	if len(r.Context) == 0 {
		return item{}, fmt.Errorf("request %d: empty context; start it with the model's beginning or end token", index)
	}
	it := item{index: index, input: r.Input(), targets: r.Continuation}
	if p.MaxLength > 0 && len(it.input) > p.MaxLength {
		if p.Whole {
			return it, badinput.Errorf("request %d: context and continuation have %d tokens before the last, the model reads at most %d", index, len(it.input), p.MaxLength)
		}
		it.cut = len(it.input) - p.MaxLength
		it.input = it.input[it.cut:]
	}
	it.targets = it.targets[:min(len(it.targets), len(it.input))]
	return it, nil
}

// batches sorts items by their inputs, so that those with a beginning in
// common are neighbours, and cuts them where the tokens to run fill a pass.
// What two neighbours across a cut have in common is kept between them.
func (p *Plan) batches(items []item) []batch {
	budget := p.BatchTokens
	if budget <= 0 {
		budget = 2048
	}
	most := max(p.Keep, 0)
	if !p.Apart {
		slices.SortStableFunc(items, func(a, b item) int { return slices.Compare(a.input, b.input) })
	}
	var out []batch
	first, tokens := 0, 0
	for i, it := range items {
		shared := 0
		if i > 0 && !p.Apart {
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
	for i := 1; i < len(out) && !p.Apart; i++ {
		last := out[i-1].items[len(out[i-1].items)-1].input
		out[i-1].keep = usable(out[i].items, last[:min(most, len(last))])
		out[i].trunk = last[:out[i-1].keep]
	}
	return out
}

// usable is how much of the beginning of an input spares the items after it
// some tokens, but not the rows that predict what they ask for: those are run
// with them.
func usable(items []item, input []int32) int {
	n := CommonPrefix(input, items[0].input)
	for _, it := range items {
		if predicts := len(it.input) - len(it.targets); predicts < n && predicts < CommonPrefix(input[:n], it.input) {
			n = predicts
		}
	}
	return n
}

// grow is the batch's tree.
func (b *batch) grow(apart bool) *tree {
	t := &tree{trunk: b.trunk}
	if apart {
		for i := range b.items {
			t.grow(b.items[i:i+1], 0, nil)
		}
	} else {
		t.grow(b.items, 0, nil)
	}
	return t
}

// asked lays out the requests that ask for something.
func (p *Plan) asked(reqs []Request) (items []item, cuts []int, err error) {
	cuts = make([]int, len(reqs))
	for i, r := range reqs {
		it, err := p.layout(i, r)
		if err != nil {
			return nil, nil, err
		}
		if cuts[i] = it.cut; len(it.targets) > 0 {
			items = append(items, it)
		}
	}
	return items, cuts, nil
}

// Work is what answering some requests takes.
type Work struct {
	// Tokens is how many the model runs.
	Tokens int
	// LargestPass is the most tokens of one pass, LargestHead the most of them
	// whose predictions are asked for, and Kept the most that stay for the next.
	LargestPass, LargestHead, Kept int
}

// Work lays out the requests without running them.
func (p *Plan) Work(reqs []Request) (w Work, err error) {
	items, _, err := p.asked(reqs)
	for _, b := range p.batches(items) {
		n, rows := len(b.grow(p.Apart).tokens), 0
		for _, it := range b.items {
			rows += len(it.targets)
		}
		w.Tokens += n
		w.LargestPass, w.LargestHead, w.Kept = max(w.LargestPass, n), max(w.LargestHead, rows), max(w.Kept, b.keep)
	}
	return w, err
}
