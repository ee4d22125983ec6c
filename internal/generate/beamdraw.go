package generate

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"barka/internal/tensor"
)

// draws returns the beams of a source whose tokens are drawn, one per output. The random
// numbers of each depend on the seed, the source and its place alone, so that neither
// the batch nor the order of the sources changes a result.
func (b *beamSearch) draws(source, start []int32) []*beam {
	h := fnv.New64a()
	for _, t := range source {
		_ = binary.Write(h, binary.LittleEndian, t) // a hash takes every write
	}
	beams := make([]*beam, b.o.NumReturn)
	for i := range beams {
		beams[i] = &beam{tokens: slices.Clone(start), rng: rand.New(rand.NewPCG(uint64(b.o.Sampling.Seed), h.Sum64()+uint64(i)))}
	}
	return beams
}

// continueEach continues each running output by one token, chosen from the logits of its
// last state, which follow each other in last [beams,D].
func (b *beamSearch) continueEach(active []*sentence, last tensor.Tensor) {
	draw := make([]float64, 0, last.Rows)
	for _, s := range active {
		for _, r := range s.running {
			u := 0.0
			if r.rng != nil {
				u = r.rng.Float64()
			}
			draw = append(draw, u)
		}
	}
	b.choices = slices.Grow(b.choices[:0], last.Rows)[:last.Rows]
	head, softcap := b.m.Head()
	b.drawing.run(b.m.Device(), 0, last, head, softcap, func(i int, s *sampler, logits []float32) {
		var seen []int32
		if len(b.seen) > 0 {
			seen = b.seen[i]
		}
		b.choices[i] = s.choose(logits, &b.o.Sampling, seen, b.banned[i], draw[i])
	})
	choices := b.choices
	for _, s := range active {
		n := len(s.running)
		b.accept(s, choices[:n])
		choices = choices[n:]
	}
}

// accept appends the chosen tokens to the outputs of a sentence. Those that end become
// finished hypotheses.
func (b *beamSearch) accept(s *sentence, choices []choice) {
	i := 0
	s.running = slices.DeleteFunc(s.running, func(r *beam) bool {
		c := choices[i]
		i++
		r.tokens, r.score = append(r.tokens, c.token), r.score+c.logp
		if len(r.tokens) < s.limit && !slices.Contains(b.o.EOS, c.token) {
			return false
		}
		b.finish(s, r, r.tokens, b.normalise(r.score, len(r.tokens)), b.o.NumReturn)
		b.pool.release(r.last())
		return true
	})
	s.done = len(s.running) == 0
}
