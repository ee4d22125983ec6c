package generate

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
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
	// Attention is the attention that each source token got from the output: the sum over its
	// steps of the mean over the heads, in the layer that aligns best. A forced token's step
	// does not count. It is nil unless BeamOptions.Attention is set.
	Attention []float32
}

// beam is one running hypothesis of a sentence. rows are the cache rows of its
// tokens, except the last ones, which the next step runs.
type beam struct {
	tokens []int32
	rows   []int32
	score  float32    // sum of log-probabilities
	rng    *rand.Rand // if its tokens are drawn
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
	source   []int32       // rows of the source cache
	further  []int32       // tokens of the source that the search's vocabulary lacks
	head     tensor.Weight // of further
	noRepeat int           // BeamOptions.NoRepeatNGram
	begin    int           // tokens before the first free one: start, and the forced token
	limit    int           // most tokens of an output
	running  []*beam       // best first
	spare    []*beam
	finished []Hypothesis // best first, at most Beams
	// improvable is the reference's is_early_stop_heuristic_unsatisfied: a
	// running beam may still beat a finished hypothesis.
	improvable bool
	// ended counts the hypotheses that ended, and topEnded remembers that the best
	// continuation of a step was one of them. CTranslate2 stops by them.
	ended    int
	topEnded bool
	done     bool
}

// BeamSearch translates every source and returns the best hypotheses of each, best first.
// Sentences decode together and are replaced as they finish. Each result depends
// on its source alone. onDone, if not nil, is called for each finished sentence.
func BeamSearch(ctx context.Context, m model.Seq2Seq, sources []Source, o BeamOptions,
	onDone func(index int, best []Hypothesis)) ([][]Hypothesis, error) {
	results := make([][]Hypothesis, len(sources))
	given := 0
	next := func(bool) (Source, bool) {
		if given == len(sources) {
			return Source{}, false
		}
		given++
		return sources[given-1], true
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
	extra      []tensor.Extra // tokens of the sentences' sources
	candidates []candidate
	chosen     []candidate
	children   []int // number of chosen candidates of each running beam
	next       []*beam
	seen       [][]int32 // distinct tokens of each beam of the batch, if repetition is penalised
	choices    []choice
	drawing    drawing
	attention  *attention // nil: not wanted
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

// admit encodes at least one source, and as many as the token budget allows. If the device's memory is
// too short, the budget becomes smaller. A source's states do not depend on the others.
func (b *beamSearch) admit(sources []Source, first int) ([]*sentence, error) {
	for {
		fresh, tokens, err := b.encode(sources, first)
		if !tensor.OutOfMemory(err) || len(fresh) < 2 {
			return fresh, err
		}
		b.o.EncodeBatchTokens = tokens / 2
	}
}

// encode encodes the first sources, within the token budget, and returns the number of tokens.
func (b *beamSearch) encode(sources []Source, first int) (fresh []*sentence, n int, err error) {
	var tokens []int32
	var lengths []int
	for i, src := range sources {
		if len(src.Tokens) == 0 {
			return nil, 0, fmt.Errorf("source %d has no tokens", first+i)
		}
		if len(tokens) > 0 && len(tokens)+len(src.Tokens) > b.o.EncodeBatchTokens {
			break
		}
		tokens, lengths = append(tokens, src.Tokens...), append(lengths, len(src.Tokens))
		fresh = append(fresh, b.sentence(src, first+i))
	}
	dev := b.m.Device()
	layout := tensor.Packed(lengths...)
	p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}
	states, err := b.m.Encode(p, tokens)
	if err != nil {
		return fresh, len(tokens), err
	}
	defer dev.Free(states)
	rows, err := b.project(p, states)
	if err != nil {
		return fresh, len(tokens), err
	}
	for i, s := range fresh {
		s.source = rows[layout.Starts[i]:layout.Starts[i+1]]
	}
	return fresh, len(tokens), nil
}

// project stores the keys and values of encoded sources and returns their rows.
func (b *beamSearch) project(p *nn.Pass, states tensor.Tensor) (rows []int32, err error) {
	defer tensor.Guard(&err)
	rows = b.source.Reserve(states.Rows)
	if err = b.m.ProjectSource(p, states, b.source, rows); err != nil {
		b.source.Release(rows)
	}
	return rows, err
}

// sentence returns the search for a source before its first step.
func (b *beamSearch) sentence(src Source, index int) *sentence {
	s := &sentence{index: index, noRepeat: cmp.Or(src.NoRepeatNGram, b.o.NoRepeatNGram), improvable: true, limit: b.o.Limit(len(src.Tokens))}
	start := []int32{b.o.Start}
	if src.ForcedBOS >= 0 {
		// A forced token has log-probability 0 and leaves one live beam. It needs no
		// decoding step: it runs together with the start token.
		start = append(start, src.ForcedBOS)
	}
	if v := b.o.Vocabulary; v != nil && v.tokens != nil {
		s.further = v.further(src.Tokens)
		s.head = b.m.Device().Select(v.all, s.further)
	}
	s.begin = len(start)
	if s.done = len(start) >= s.limit; s.done {
		s.finished = []Hypothesis{{Tokens: start}}
		return s
	}
	s.running = []*beam{{tokens: start}}
	if b.o.samples() {
		s.running = b.draws(src.Tokens, start)
	}
	return s
}

func (b *beamSearch) reset() {
	for _, l := range []*tensor.Layout{&b.layout, &b.cross} {
		l.Starts, l.Past, l.Keys = append(l.Starts[:0], 0), l.Past[:0], l.Keys[:0]
	}
	b.tokens, b.positions, b.rows, b.ends = b.tokens[:0], b.positions[:0], b.rows[:0], b.ends[:0]
	b.banned, b.seen = b.banned[:0], b.seen[:0]
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
	b.banned = append(b.banned, b.bans(s, r.tokens))
	if b.o.Sampling.penalised() {
		b.seen = append(b.seen, distinct(r.tokens))
	}
	end := int32(len(b.tokens))
	b.layout.Starts, b.cross.Starts = append(b.layout.Starts, end), append(b.cross.Starts, end)
	b.layout.Past, b.cross.Past = append(b.layout.Past, int32(past)), append(b.cross.Past, 0)
	b.layout.Keys, b.cross.Keys = append(b.layout.Keys, r.rows), append(b.cross.Keys, s.source)
}

// step runs the last tokens of all running beams and expands each sentence.
func (b *beamSearch) step(active []*sentence) error {
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
		return nil
	}
	dev := b.m.Device()
	b.pass = nn.Pass{Dev: dev, Layout: &b.layout, Positions: b.positions, Rows: b.rows, Queries: b.attention.reserve(b.rows)}
	h, err := b.m.Decode(&b.pass, b.tokens, b.cache, b.source, &b.cross)
	if err != nil {
		return err
	}
	return b.expandFrom(active, h)
}

// expandFrom expands each sentence from the states h [T,D] of its beams, which it frees.
func (b *beamSearch) expandFrom(active []*sentence, h tensor.Tensor) (err error) {
	dev := b.m.Device()
	defer dev.Free(h)
	defer tensor.Reclaim(dev, tensor.Mark(dev), &err)
	last := dev.Alloc(len(b.ends), h.Cols)
	dev.Gather(last, h, tensor.Ints{Host: b.ends})
	if b.o.oneByOne() {
		b.continueEach(active, last)
	} else {
		b.expandAll(active, last)
	}
	dev.Free(last)
	return nil
}

// bans returns the tokens that must not follow.
func (b *beamSearch) bans(s *sentence, tokens []int32) []int32 {
	banned := repeatedNGrams(tokens, s.noRepeat)
	if len(tokens) < b.o.MinLength {
		banned = append(banned, b.o.EOS...)
	}
	return banned
}

// distinct returns the distinct tokens, sorted.
func distinct(tokens []int32) []int32 {
	d := slices.Clone(tokens)
	slices.Sort(d)
	return slices.Compact(d)
}
