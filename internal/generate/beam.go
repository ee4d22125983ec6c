package generate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Hypothesis is one finished output.
type Hypothesis struct {
	Tokens []int32 // Start first; EOS last, unless the length limit cut it off
	// Score is the sum of log-probabilities over (length-1)^LengthPenalty.
	Score float32
}

// beam is one running hypothesis of a sentence. rows are the cache rows of its
// tokens, except the last ones, which the next step runs.
type beam struct {
	tokens []int32
	rows   []int32
	score  float32
}

func (b *beam) last() int32 {
	if len(b.rows) == 0 {
		return none
	}
	return b.rows[len(b.rows)-1]
}

// copyFrom makes b a copy of parent. Only what differs is copied: beams of a
// sentence diverged a few tokens ago, and equal rows mean equal tokens after
// equal tokens.
func (b *beam) copyFrom(parent *beam) {
	n := len(parent.rows)
	same := min(len(b.rows), n)
	for same > 0 && b.rows[same-1] != parent.rows[same-1] {
		same--
	}
	b.rows = append(b.rows[:same], parent.rows[same:]...)
	b.tokens = append(b.tokens[:same], parent.tokens[same:]...)
}

// sentence is the search state of one source, after transformers'
// _beam_search (4.50 and later).
type sentence struct {
	index    int
	source   []int32 // rows of the source cache
	noRepeat int     // BeamOptions.NoRepeatNGram
	running  []*beam // best first
	spare    []*beam
	finished []Hypothesis // best first, at most Beams
	// improvable is the reference's is_early_stop_heuristic_unsatisfied: a
	// running beam may still beat a finished hypothesis.
	improvable bool
	done       bool
}

// BeamSearch translates every source and returns the best hypotheses of each.
// Sentences decode together and are replaced as they finish. Each result depends
// on its source alone. onDone, if not nil, is called for each finished sentence.
func BeamSearch(ctx context.Context, m model.Seq2Seq, sources [][]int32, o BeamOptions,
	onDone func(index int, best []Hypothesis)) ([][]Hypothesis, error) {
	results := make([][]Hypothesis, len(sources))
	given := 0
	next := func(bool) (Source, bool) {
		if given == len(sources) {
			return Source{}, false
		}
		given++
		return Source{Tokens: sources[given-1]}, true
	}
	err := BeamStream(ctx, m, o, next, func(i int, best []Hypothesis) error {
		results[i] = best
		if onDone != nil {
			onDone(i, best)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

type beamSearch struct {
	m      model.Seq2Seq
	o      BeamOptions
	cache  *model.Cache // keys and values of the decoder's self-attention
	pool   *pool        // rows of cache
	source *model.Cache // keys and values of the encoded sources

	// The batch of a step. Its memory is reused.
	pass       nn.Pass
	layout     tensor.Layout
	cross      tensor.Layout // of the cross-attention
	tokens     []int32
	positions  []int32
	rows       []int32
	ends       []int32
	banned     [][]int32
	candidates []candidate
	chosen     []candidate
	children   []int // number of chosen candidates of each running beam
	next       []*beam
}

// reserve pre-allocates cache for a typical search: all source tokens, and
// outputs of source length whose beams diverge half-way. Sizes are powers of
// two, so that the next search reuses the memory. The cache doubles if it runs
// out.
func (b *beamSearch) reserve(sources []Source) {
	var lengths []int
	for _, s := range sources {
		lengths = append(lengths, len(s.Tokens))
	}
	slices.Sort(lengths)
	in, out := 1, 1
	for _, n := range lengths[max(0, len(lengths)-b.o.MaxActive):] {
		in += n
		out += (b.o.Beams + 1) * min(n+8, b.o.MaxLength) / 2
	}
	b.source.Grow(1 << bits.Len(uint(in)))
	b.cache.Grow(1 << bits.Len(uint(out)))
}

// admit encodes at least one source, and as many as the token budget allows.
func (b *beamSearch) admit(sources []Source, first int) ([]*sentence, error) {
	var fresh []*sentence
	var tokens []int32
	var lengths []int
	for i, source := range sources {
		src := source.Tokens
		if len(src) == 0 {
			return nil, fmt.Errorf("source %d has no tokens", first+i)
		}
		if len(tokens) > 0 && len(tokens)+len(src) > b.o.EncodeBatchTokens {
			break
		}
		tokens, lengths = append(tokens, src...), append(lengths, len(src))
		s := &sentence{index: first + i, noRepeat: cmp.Or(source.NoRepeatNGram, b.o.NoRepeatNGram), improvable: true,
			running: []*beam{{tokens: []int32{b.o.Start}}}}
		if b.o.ForcedBOS >= 0 {
			// A forced token has log-probability 0 and leaves one live beam. It
			// needs no decoding step: it runs together with the start token.
			r := s.running[0]
			if r.tokens = append(r.tokens, b.o.ForcedBOS); len(r.tokens) >= b.o.MaxLength {
				s.finished = []Hypothesis{{Tokens: r.tokens}}
				s.done = true
			}
		}
		fresh = append(fresh, s)
	}
	dev := b.m.Device()
	layout := tensor.Packed(lengths...)
	p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}
	states := b.m.Encode(p, tokens)
	defer dev.Free(states)
	rows := b.source.Reserve(len(tokens))
	b.m.ProjectSource(p, states, b.source, rows)
	for i, s := range fresh {
		s.source = rows[layout.Starts[i]:layout.Starts[i+1]]
	}
	return fresh, nil
}

func (b *beamSearch) reset() {
	for _, l := range []*tensor.Layout{&b.layout, &b.cross} {
		l.Starts, l.Past, l.Keys = append(l.Starts[:0], 0), l.Past[:0], l.Keys[:0]
	}
	b.tokens, b.positions, b.rows, b.ends, b.banned = b.tokens[:0], b.positions[:0], b.rows[:0], b.ends[:0], b.banned[:0]
}

// add adds the tokens of a running beam that have not been run to the batch.
func (b *beamSearch) add(s *sentence, r *beam) {
	past := len(r.rows)
	for i, t := range r.tokens[past:] {
		r.rows = append(r.rows, b.pool.extend(r.last(), t))
		b.tokens, b.positions = append(b.tokens, t), append(b.positions, int32(past+i))
	}
	b.rows = append(b.rows, r.rows[past:]...)
	b.ends = append(b.ends, int32(len(b.tokens)-1))
	b.banned = append(b.banned, repeatedNGrams(r.tokens, s.noRepeat))
	end := int32(len(b.tokens))
	b.layout.Starts, b.cross.Starts = append(b.layout.Starts, end), append(b.cross.Starts, end)
	b.layout.Past, b.cross.Past = append(b.layout.Past, int32(past)), append(b.cross.Past, 0)
	b.layout.Keys, b.cross.Keys = append(b.layout.Keys, r.rows), append(b.cross.Keys, s.source)
}

// step runs the last tokens of all running beams and expands each sentence.
func (b *beamSearch) step(active []*sentence) {
	b.reset()
	for _, s := range active {
		if s.done {
			continue
		}
		for _, r := range s.running {
			b.add(s, r)
		}
	}
	if len(b.tokens) == 0 {
		return
	}
	dev := b.m.Device()
	b.pass = nn.Pass{Dev: dev, Layout: &b.layout, Positions: b.positions, Rows: b.rows}
	h := b.m.Decode(&b.pass, b.tokens, b.cache, b.source, &b.cross)
	last := dev.Alloc(len(b.ends), h.Cols)
	dev.Gather(last, h, b.ends)
	head, softcap := b.m.Head()
	top := dev.TopK(last, head, b.o.candidates(), softcap, b.banned)
	dev.Free(h, last)
	at := 0
	for _, s := range active {
		if s.done {
			continue
		}
		n := len(s.running)
		b.expand(s, top[at:at+n])
		at += n
	}
}

// candidate is a one-token extension of a running beam.
type candidate struct {
	beam  int
	token int32
	score float32
	ends  bool
}

// expand is one iteration of the reference's loop for one sentence. It selects
// the best continuations of the running beams. Those that end may become
// finished hypotheses; the others are the next running beams.
func (b *beamSearch) expand(s *sentence, top []tensor.Candidates) {
	length := len(s.running[0].tokens) + 1 // of the extended hypotheses
	cands := b.candidates[:0]
	for i, c := range top {
		for j, t := range c.Tokens {
			cands = append(cands, candidate{i, t, s.running[i].score + c.LogP[j], slices.Contains(b.o.EOS, t) || length >= b.o.MaxLength})
		}
	}
	b.candidates = cands
	slices.SortFunc(cands, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.beam, y.beam), cmp.Compare(x.token, y.token))
	})
	if k := b.o.candidates(); len(cands) > k {
		cands = cands[:k]
	}
	b.collectFinished(s, cands, length)
	all := true
	for _, c := range cands {
		all = all && c.ends
	}
	b.prune(s, cands)
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
	norm := float32(math.Pow(float64(length-1), b.o.LengthPenalty))
	for _, c := range cands[:min(len(cands), b.o.Beams)] {
		if !c.ends {
			continue
		}
		score := c.score / norm
		at := len(s.finished)
		for at > 0 && score > s.finished[at-1].Score {
			at--
		}
		if at == b.o.Beams {
			continue // worse than all finished hypotheses
		}
		parent := s.running[c.beam].tokens
		tokens := append(append(make([]int32, 0, len(parent)+1), parent...), c.token)
		s.finished = slices.Insert(s.finished[:min(len(s.finished), b.o.Beams-1)], at, Hypothesis{tokens, score})
	}
}

// prune makes the best Beams unfinished candidates the running beams. They share
// their parents' cache rows. A parent's last child reuses the parent; the other
// children reuse parents without a child.
func (b *beamSearch) prune(s *sentence, cands []candidate) {
	b.chosen, b.next, b.children = b.chosen[:0], b.next[:0], b.children[:0]
	for range s.running {
		b.children = append(b.children, 0)
	}
	for _, c := range cands {
		if !c.ends && len(b.chosen) < b.o.Beams {
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
// the worst of them. The beam is scored at its current length, or at MaxLength
// with StopNever.
func (b *beamSearch) canImprove(s *sentence, length int) bool {
	if len(s.finished) < b.o.Beams {
		return true
	}
	if len(s.running) == 0 {
		return false
	}
	if b.o.EarlyStopping == StopNever && b.o.LengthPenalty > 0 {
		length = b.o.MaxLength
	}
	best := s.running[0].score / float32(math.Pow(float64(length-1), b.o.LengthPenalty))
	return best > s.finished[len(s.finished)-1].Score
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
