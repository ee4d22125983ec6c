package generate

import (
	"cmp"
	"math"
	"slices"

	"barka/internal/tensor"
)

// candidate is a one-token extension of a running beam.
type candidate struct {
	beam  int
	token int32
	score float32
	ends  bool
	// void: an end token that CTranslate2 replaces by a beam without a chance. It takes a
	// beam's place for one step.
	void bool
}

// expandAll expands each sentence by the last states of its beams, which follow each
// other in last [beams,D].
func (b *beamSearch) expandAll(active []*sentence, last tensor.Tensor) {
	k := b.o.candidates()
	for _, seen := range b.seen {
		// A penalised token only falls. So the best continuations of a beam are among
		// those tokens and as many others as are wanted.
		k = max(k, b.o.candidates()+len(seen))
	}
	top := b.best(active, last, k)
	eachOf(active, func(s *sentence, lo, hi int) {
		var seen [][]int32
		if b.o.Sampling.penalised() {
			seen = b.seen[lo:hi]
		}
		b.expand(s, top[lo:hi], seen)
	})
}

// expand is one iteration of the reference's loop for one sentence. It selects
// the best continuations of the running beams. Those that end may become
// finished hypotheses; the others are the next running beams. seen has the tokens of
// each beam whose log-probability is penalised, if any is.
func (b *beamSearch) expand(s *sentence, top []tensor.Candidates, seen [][]int32) {
	length := len(s.running[0].tokens) + 1 // of the extended hypotheses
	cands := b.candidates[:0]
	for i, c := range top {
		for j, t := range c.Tokens {
			logp := c.LogP[j]
			if seen != nil && slices.Contains(seen[i], t) {
				logp *= float32(b.o.Sampling.RepetitionPenalty)
			}
			cands = append(cands, candidate{beam: i, token: t, score: s.running[i].score + logp,
				ends: slices.Contains(b.o.EOS, t) || length >= s.limit})
		}
	}
	b.candidates = cands
	slices.SortFunc(cands, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.beam, y.beam), cmp.Compare(x.token, y.token))
	})
	if k := b.o.candidates(); len(cands) > k {
		cands = cands[:k]
	}
	ctranslate2 := b.o.EarlyStopping == StopCTranslate2
	if ctranslate2 && length == s.begin+1 && s.begin > 1 {
		for i, c := range cands[1:] {
			if slices.Contains(b.o.EOS, c.token) {
				cands[i+1].void, cands[i+1].ends = true, false
			}
		}
	}
	b.collectFinished(s, cands, length)
	all := true
	for _, c := range cands {
		all = all && (c.ends || c.void)
	}
	b.prune(s, cands)
	if ctranslate2 {
		early := b.o.LengthPenalty == 0
		s.done = all || early && s.topEnded && s.ended >= b.o.NumReturn || !early && s.ended >= b.o.complete()
		return
	}
	if s.improvable {
		s.improvable = b.canImprove(s, length)
	}
	full := len(s.finished) == b.o.Beams
	s.done = !s.improvable || all || b.o.EarlyStopping == StopFull && full || len(s.running) == 0
}

// collectFinished adds the candidates that end, among the best Beams, to the
// finished hypotheses.
func (b *beamSearch) collectFinished(s *sentence, cands []candidate, length int) {
	if !s.improvable || b.o.EarlyStopping == StopFull && len(s.finished) == b.o.Beams {
		return
	}
	for i, c := range cands[:min(len(cands), b.o.Beams)] {
		if !c.ends {
			continue
		}
		s.ended++
		s.topEnded = s.topEnded || i == 0
		parent := s.running[c.beam]
		tokens := append(append(make([]int32, 0, len(parent.tokens)+1), parent.tokens...), c.token)
		b.finish(s, parent, tokens, b.normalise(c.score, length), b.o.Beams)
	}
}

// finish adds a hypothesis, whose last token ends the beam r, to the finished ones, of which at
// most most are kept.
func (b *beamSearch) finish(s *sentence, r *beam, tokens []int32, score float32, most int) {
	at := len(s.finished)
	for at > 0 && score > s.finished[at-1].Score {
		at--
	}
	if at < most { // otherwise it is worse than all finished hypotheses
		h := Hypothesis{tokens, score, b.attention.of(s, r)}
		s.finished = slices.Insert(s.finished[:min(len(s.finished), most-1)], at, h)
	}
}

// normalise divides a sum of log-probabilities by the power of a length, which counts all
// tokens but the start.
func (b *beamSearch) normalise(score float32, length int) float32 {
	return score / float32(math.Pow(float64(length-1), b.o.LengthPenalty))
}

// prune makes the best Beams unfinished candidates the running beams. They share
// their parents' cache rows. A parent's last child reuses the parent; the other
// children reuse parents without a child.
func (b *beamSearch) prune(s *sentence, cands []candidate) {
	b.chosen, b.next, b.children = b.chosen[:0], b.next[:0], b.children[:0]
	for range s.running {
		b.children = append(b.children, 0)
	}
	places := b.o.Beams
	for _, c := range cands {
		if c.ends || places == 0 {
			continue
		}
		if places--; !c.void {
			b.chosen = append(b.chosen, c)
			b.children[c.beam]++
		}
	}
	for i, r := range s.running {
		if b.children[i] == 0 {
			b.pool.release(r.last())
			s.spare = append(s.spare, r)
		}
	}
	for _, c := range b.chosen {
		r := s.running[c.beam]
		if b.children[c.beam]--; b.children[c.beam] > 0 {
			r = s.clone(r)
			b.pool.hold(r.last())
		}
		r.tokens, r.score = append(r.tokens, c.token), c.score
		b.next = append(b.next, r)
	}
	s.running = append(s.running[:0], b.next...)
	for _, r := range s.spare {
		r.tokens, r.rows = r.tokens[:0], r.rows[:0] // its rows will be reused
	}
}

// clone returns a copy of a beam, in a spare one if there is any.
func (s *sentence) clone(parent *beam) *beam {
	r := &beam{}
	if n := len(s.spare); n > 0 {
		r, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	r.copyFrom(parent)
	return r
}

// canImprove is the reference's early-stop heuristic. It reports whether there
// are fewer than Beams finished hypotheses, or the best running beam would beat
// the worst of them. The beam is scored at its current length, or at the largest one
// with StopNever.
func (b *beamSearch) canImprove(s *sentence, length int) bool {
	if len(s.finished) < b.o.Beams {
		return true
	}
	if len(s.running) == 0 {
		return false
	}
	if b.o.EarlyStopping == StopNever && b.o.LengthPenalty > 0 {
		length = s.limit
	}
	return b.normalise(s.running[0].score, length) > s.finished[len(s.finished)-1].Score
}

// repeatedNGrams returns the tokens that would complete an n-gram that tokens
// already contains.
func repeatedNGrams(tokens []int32, n int) []int32 {
	if n <= 0 || len(tokens)+1 < n {
		return nil
	}
	tail := tokens[len(tokens)-(n-1):]
	var banned []int32
	for i := 0; i+n <= len(tokens); i++ {
		if slices.Equal(tokens[i:i+n-1], tail) {
			banned = append(banned, tokens[i+n-1])
		}
	}
	return banned
}
