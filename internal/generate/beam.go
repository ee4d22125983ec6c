package generate

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"barka/internal/badinput"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// BeamOptions are transformers' generation settings for beam search.
type BeamOptions struct {
	Beams             int     // 1 is greedy search
	MaxLength         int     // of the output, start token and end token included
	LengthPenalty     float64 // scores are divided by length^LengthPenalty
	EarlyStopping     EarlyStopping
	NoRepeatNGram     int // 0: off
	Start             int32
	EOS               []int32 // each ends an output
	Forced            int32   // first token after Start, such as a language; -1: none
	ReturnN           int     // hypotheses returned a sentence; 0 means 1
	MaxActive         int     // sentences decoded together; 0 means 16
	EncodeBatchTokens int     // source tokens encoded together; 0 means 1,024
}

// EarlyStopping decides when a sentence with Beams finished hypotheses is
// over. It has the three values of transformers' setting early_stopping; the
// zero value is StopHeuristic.
type EarlyStopping int8

const (
	// StopHeuristic ends it once the best running beam, scored at its present
	// length, is no better than the worst finished hypothesis ("false").
	StopHeuristic EarlyStopping = iota
	// StopFull ends it at once ("true").
	StopFull
	// StopNever is StopHeuristic, but with a positive length penalty the best
	// running beam is scored at MaxLength ("never").
	StopNever
)

// The settings' spellings, by value.
var earlyStopping = []string{StopHeuristic: "false", StopFull: "true", StopNever: "never"}

// String returns the setting's spelling: false, true or never.
func (e EarlyStopping) String() string { return earlyStopping[e] }

// UnmarshalText reads false, true or never.
func (e *EarlyStopping) UnmarshalText(text []byte) error {
	i := slices.Index(earlyStopping, string(text))
	if i < 0 {
		return badinput.Errorf("early_stopping is %q, expected false, true or never", text)
	}
	*e = EarlyStopping(i)
	return nil
}

// MarshalJSON writes false, true or "never".
func (e EarlyStopping) MarshalJSON() ([]byte, error) {
	if e == StopNever {
		return []byte(`"never"`), nil
	}
	return []byte(e.String()), nil
}

// UnmarshalJSON reads false, true or "never".
func (e *EarlyStopping) UnmarshalJSON(data []byte) error {
	return e.UnmarshalText(bytes.Trim(data, `"`))
}

// Hypothesis is one finished output.
type Hypothesis struct {
	Tokens []int32 // Start first; EOS last unless the length limit cut it
	// Score is the sum of log-probabilities over (length-1)^LengthPenalty.
	Score float32
}

// beam is one running hypothesis of a sentence. Its rows are those of all
// tokens but the last ones, which the next step runs.
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

// become makes b a copy of parent. Beams of a sentence parted a few tokens ago,
// so what both have from before that stays as it is: the same row is the same
// token after the same tokens.
func (b *beam) become(parent *beam) {
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
	running  []*beam // best first
	spare    []*beam
	finished []Hypothesis // best first, at most Beams
	open     bool         // the reference's early-stop heuristic is unsatisfied
	done     bool
}

// BeamSearch translates every source. Sentences are decoded together and
// replaced as they finish; each result depends on its source alone. onDone,
// if not nil, is told of each finished sentence.
func BeamSearch(ctx context.Context, m model.Seq2Seq, sources [][]int32, o BeamOptions, onDone func(index int, best []Hypothesis)) ([][]Hypothesis, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &beamSearch{m: m, o: o, cache: m.NewCache(), source: m.NewCache()}
	defer b.cache.Free()
	defer b.source.Free()
	b.pool = newPool(b.cache, 0, 0, false)
	b.expect(sources)
	results := make([][]Hypothesis, len(sources))
	active, next := []*sentence(nil), 0
	for next < len(sources) || len(active) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if free := o.MaxActive - len(active); free > 0 && next < len(sources) {
			n := min(free, len(sources)-next)
			fresh, err := b.admit(sources[next:next+n], next)
			if err != nil {
				return nil, err
			}
			active, next = append(active, fresh...), next+len(fresh)
		}
		b.step(active)
		active = slices.DeleteFunc(active, func(s *sentence) bool {
			if !s.done {
				return false
			}
			for _, r := range s.running {
				b.pool.release(r.last())
			}
			b.source.Release(s.source)
			results[s.index] = s.finished[:min(len(s.finished), o.ReturnN)]
			if onDone != nil {
				onDone(s.index, results[s.index])
			}
			return true
		})
	}
	return results, nil
}

func (o *BeamOptions) check() error {
	if o.Beams <= 0 || o.MaxLength < 2 {
		return fmt.Errorf("beam search needs at least one beam and a maximum length of 2, got %d and %d", o.Beams, o.MaxLength)
	}
	if o.ReturnN == 0 {
		o.ReturnN = 1
	}
	if o.Beams == 1 {
		o.EarlyStopping = StopFull // greedy search ends with the first end token
	}
	if o.ReturnN > o.Beams {
		return fmt.Errorf("%d hypotheses asked of %d beams", o.ReturnN, o.Beams)
	}
	if o.MaxActive <= 0 {
		o.MaxActive = 16
	}
	if o.EncodeBatchTokens <= 0 {
		o.EncodeBatchTokens = 1024
	}
	return nil
}

// candidates is how many extensions of a sentence's beams are looked at: as
// many beams run on even if each one's best tokens are all the end tokens.
func (o *BeamOptions) candidates() int { return max(2, 1+len(o.EOS)) * o.Beams }

type beamSearch struct {
	m      model.Seq2Seq
	o      BeamOptions
	cache  *model.Cache // of the decoder's own keys
	pool   *pool        // of its rows
	source *model.Cache // of the encoded sources' keys

	// The batch of a step; its memory is used again.
	pass       nn.Pass
	layout     tensor.Layout
	cross      tensor.Layout // of the sources
	tokens     []int32
	positions  []int32
	rows       []int32
	ends       []int32
	banned     [][]int32
	candidates []candidate
	chosen     []candidate
	children   []int // of each running beam
	next       []*beam
}

// expect sets memory aside for what the sources are likely to need together,
// in powers of two, so that the next search finds it: all their tokens, and
// beams that part half way through outputs as long. More is had by doubling.
func (b *beamSearch) expect(sources [][]int32) {
	var lengths []int
	for _, s := range sources {
		lengths = append(lengths, len(s))
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

// admit encodes sources, at least one and as many as the token budget allows.
func (b *beamSearch) admit(sources [][]int32, first int) ([]*sentence, error) {
	var fresh []*sentence
	var tokens []int32
	var lengths []int
	for i, src := range sources {
		if len(src) == 0 {
			return nil, fmt.Errorf("source %d has no tokens", first+i)
		}
		if len(tokens) > 0 && len(tokens)+len(src) > b.o.EncodeBatchTokens {
			break
		}
		tokens, lengths = append(tokens, src...), append(lengths, len(src))
		s := &sentence{index: first + i, open: true, running: []*beam{{tokens: []int32{b.o.Start}}}}
		if b.o.Forced >= 0 {
			// A forced token has log-probability 0 and leaves one live beam,
			// so it costs no decoding step; it goes in with the start token.
			r := s.running[0]
			if r.tokens = append(r.tokens, b.o.Forced); len(r.tokens) >= b.o.MaxLength {
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

// add puts the last tokens of a running beam into the batch.
func (b *beamSearch) add(s *sentence, r *beam) {
	past := len(r.rows)
	for i, t := range r.tokens[past:] {
		r.rows = append(r.rows, b.pool.extend(r.last(), t))
		b.tokens, b.positions = append(b.tokens, t), append(b.positions, int32(past+i))
	}
	b.rows = append(b.rows, r.rows[past:]...)
	b.ends = append(b.ends, int32(len(b.tokens)-1))
	b.banned = append(b.banned, repeatedNGrams(r.tokens, b.o.NoRepeatNGram))
	end := int32(len(b.tokens))
	b.layout.Starts, b.cross.Starts = append(b.layout.Starts, end), append(b.cross.Starts, end)
	b.layout.Past, b.cross.Past = append(b.layout.Past, int32(past)), append(b.cross.Past, 0)
	b.layout.Keys, b.cross.Keys = append(b.layout.Keys, r.rows), append(b.cross.Keys, s.source)
}

// step runs the last tokens of all running beams and advances each sentence.
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
		b.advance(s, top[at:at+n])
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

// advance is one turn of the reference's loop for one sentence: the best
// extensions, of which those that end may enter the finished slots
// and the others run on.
func (b *beamSearch) advance(s *sentence, top []tensor.Candidates) {
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
	b.finish(s, cands, length)
	all := true
	for _, c := range cands {
		all = all && c.ends
	}
	b.reorder(s, cands)
	if s.open {
		s.open = b.canImprove(s, length)
	}
	full := len(s.finished) == b.o.Beams
	s.done = !s.open || all || b.o.EarlyStopping == StopFull && full || len(s.running) == 0
}

// finish lets ended candidates among the best Beams into the finished slots.
func (b *beamSearch) finish(s *sentence, cands []candidate, length int) {
	if !s.open || b.o.EarlyStopping == StopFull && len(s.finished) == b.o.Beams {
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
			continue // worse than all
		}
		parent := s.running[c.beam].tokens
		tokens := append(append(make([]int32, 0, len(parent)+1), parent...), c.token)
		s.finished = slices.Insert(s.finished[:min(len(s.finished), b.o.Beams-1)], at, Hypothesis{tokens, score})
	}
}

// reorder makes the best Beams unfinished candidates the running beams. They
// share their parents' rows. A parent's last child goes on in its place; the
// others take the places of parents without a child.
func (b *beamSearch) reorder(s *sentence, cands []candidate) {
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
			r = s.place(r)
			b.pool.hold(r.last())
		}
		r.tokens, r.score = append(r.tokens, c.token), c.score
		b.next = append(b.next, r)
	}
	s.running = append(s.running[:0], b.next...)
	for _, r := range s.spare {
		r.tokens, r.rows = r.tokens[:0], r.rows[:0] // its rows are soon another's
	}
}

// place returns a copy of a beam.
func (s *sentence) place(parent *beam) *beam {
	r := &beam{}
	if n := len(s.spare); n > 0 {
		r, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	r.become(parent)
	return r
}

// canImprove is the reference's heuristic: a free slot, or a running beam
// that at its present length, or at the longest one with StopNever, would beat
// the worst finished hypothesis.
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

// repeatedNGrams lists the tokens that would complete an n-gram which tokens
// already holds.
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
