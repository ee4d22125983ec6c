package train

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// groupWindow is the number of batches within which group_by_length sorts.
const groupWindow = 50

// course is the order in which a run takes the units of its data. It is a function of the
// seed and the options alone.
type course struct {
	d     *Data
	o     Options
	seed  int64
	size  int     // units per epoch
	epoch int     // of units; -1 before the first call
	units []int32 // in the epoch's order
}

func newCourse(d *Data, o Options, seed int64) *course {
	return &course{d: d, o: o, seed: seed, size: d.PerEpoch(), epoch: -1}
}

// PerEpoch returns the number of units that an epoch takes.
func (d *Data) PerEpoch() (n int) {
	for _, s := range d.sets {
		n += s.take
	}
	return n
}

// amounts returns the tokens of an epoch, and how many of them are trained. Of a set that is
// not taken whole it is the mean.
func (d *Data) amounts() (tokens, trained int64) {
	if len(d.sets) == 0 {
		return d.Tokens, d.Trained // a forecast
	}
	for _, s := range d.sets {
		share := float64(s.take) / float64(s.n)
		tokens += int64(share * float64(s.Tokens))
		trained += int64(share * float64(s.Trained))
	}
	return tokens, trained
}

// stepsPerEpoch counts optimiser steps; the last batch may be smaller.
func stepsPerEpoch(n, batch int) int { return (n + batch - 1) / batch }

// at returns the units of an optimiser step, counted from 0 over all epochs. Steps of one
// epoch share its order: only the first one of an epoch takes time with the set's size.
func (c *course) at(step int) []int {
	per := stepsPerEpoch(c.size, c.o.Batch)
	if e := step / per; e != c.epoch {
		c.begin(e)
	}
	lo := step % per * c.o.Batch
	var batch []int
	for _, u := range c.units[lo:min(lo+c.o.Batch, c.size)] {
		batch = append(batch, int(u))
	}
	return batch
}

// begin draws the order of an epoch.
func (c *course) begin(epoch int) {
	c.epoch = epoch
	var drawn []int32
	for i, s := range c.d.sets {
		for range s.take / s.n {
			for u := range s.n {
				drawn = append(drawn, int32(s.first+u))
			}
		}
		if rest := s.take % s.n; rest > 0 {
			rng := rand.New(rand.NewPCG(uint64(c.seed), uint64(epoch)|uint64(i+1)<<32))
			for _, u := range rng.Perm(s.n)[:rest] {
				drawn = append(drawn, int32(s.first+u))
			}
		}
	}
	c.units = make([]int32, len(drawn))
	for i, j := range rand.New(rand.NewPCG(uint64(c.seed), uint64(epoch))).Perm(len(drawn)) {
		c.units[i] = drawn[j]
	}
	if c.o.GroupByLength {
		c.group(epoch)
	}
}

// group sorts windows of batches by length, and shuffles the batches of each, so that units
// of one batch have similar lengths. An incomplete batch stays the last one.
func (c *course) group(epoch int) {
	batch := c.o.Batch
	rng := rand.New(rand.NewPCG(uint64(c.seed), uint64(epoch)|1<<63))
	for whole := c.units[:len(c.units)/batch*batch]; len(whole) > 0; {
		window := whole[:min(groupWindow*batch, len(whole))]
		whole = whole[len(window):]
		slices.SortStableFunc(window, func(a, b int32) int { return cmp.Compare(c.d.length(int(b)), c.d.length(int(a))) })
		sorted := slices.Clone(window)
		for i, j := range rng.Perm(len(window) / batch) {
			copy(window[i*batch:], sorted[j*batch:(j+1)*batch])
		}
	}
}

// micro divides a batch into passes of at most budget tokens: the longest units first, each
// into the fullest pass that has room for it. A longer unit has a pass of its own.
func (d *Data) micro(batch []int, budget int) [][]int {
	var passes [][]int
	var room []int
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(d.length(b), d.length(a)) })
	for _, u := range sorted {
		n, best := d.length(u), -1
		for i, r := range room {
			if r >= n && (best < 0 || r < room[best]) {
				best = i
			}
		}
		if best < 0 {
			passes, room = append(passes, nil), append(room, budget)
			best = len(passes) - 1
		}
		passes[best] = append(passes[best], u)
		room[best] -= n
	}
	return passes
}

// over counts the units that are longer than a pass may be.
func (d *Data) over(budget int) (n int) {
	for u := range d.Samples() {
		if d.length(u) > budget {
			n++
		}
	}
	return n
}
