package generate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// BeamOptions are transformers' generation settings for beam search.
type BeamOptions struct {
	Beams         int     // 1 is greedy search
	MaxLength     int     // of the output, start token and end token included
	LengthPenalty float64 // scores are divided by length^LengthPenalty
	// EarlyStopping ends a sentence once Beams hypotheses have finished;
	// false uses the reference's heuristic.
	EarlyStopping     bool
	NoRepeatNGram     int // 0: off
	Start, EOS        int32
	Forced            int32 // first token after Start, such as a language; -1: none
	ReturnN           int   // hypotheses returned a sentence; 0 means 1
	MaxActive         int   // sentences decoded together; 0 means 16
	EncodeBatchTokens int   // source tokens encoded together; 0 means 1,024
}

// Hypothesis is one finished output.
type Hypothesis struct {
	Tokens []int32 // Start first; EOS last unless the length limit cut it
	// Score is the sum of log-probabilities over (length-1)^LengthPenalty.
	Score float32
}

// beam is one running hypothesis of a sentence.
type beam struct {
	tokens []int32
	rows   []int32 // cache rows of all tokens but the last
	score  float32
}

// sentence is the search state of one source, after transformers'
// _beam_search (4.50 and later).
type sentence struct {
	index    int
	source   []int32 // rows of the source cache
	running  []beam
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
				b.cache.Release(r.rows)
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
		o.EarlyStopping = true // greedy search ends with the first end token
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

type beamSearch struct {
	m      model.Seq2Seq
	o      BeamOptions
	cache  *model.Cache // of the decoder's own keys
	source *model.Cache // of the encoded sources' keys
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
		s := &sentence{index: first + i, open: true, running: []beam{{tokens: []int32{b.o.Start}}}}
		if b.o.Forced >= 0 {
			// A forced token has log-probability 0 and leaves one live beam,
			// so it costs no decoding step; it goes in with the start token.
			s.running[0].tokens = append(s.running[0].tokens, b.o.Forced)
			if len(s.running[0].tokens) >= b.o.MaxLength {
				s.finished = []Hypothesis{{Tokens: s.running[0].tokens}}
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

// step runs the last tokens of all running beams and advances each sentence.
func (b *beamSearch) step(active []*sentence) {
	var tokens, ends []int32
	layout, source := tensor.Layout{Starts: []int32{0}}, tensor.Layout{Starts: []int32{0}}
	p := &nn.Pass{Dev: b.m.Device(), Layout: &layout}
	var banned [][]int32
	for _, s := range active {
		if s.done {
			continue
		}
		for i := range s.running {
			r := &s.running[i]
			past := len(r.rows)
			fresh := r.tokens[past:]
			rows := b.cache.Reserve(len(fresh))
			r.rows = append(r.rows, rows...)
			tokens, p.Rows = append(tokens, fresh...), append(p.Rows, rows...)
			ends = append(ends, int32(len(tokens)-1))
			banned = append(banned, repeatedNGrams(r.tokens, b.o.NoRepeatNGram))
			end := int32(len(tokens))
			layout.Starts, source.Starts = append(layout.Starts, end), append(source.Starts, end)
			layout.Past, source.Past = append(layout.Past, int32(past)), append(source.Past, 0)
			layout.Keys, source.Keys = append(layout.Keys, r.rows), append(source.Keys, s.source)
		}
	}
	if len(tokens) == 0 {
		return
	}
	p.Positions = layout.Positions()
	h := b.m.Decode(p, tokens, b.cache, b.source, &source)
	dev := b.m.Device()
	last := dev.Alloc(len(ends), h.Cols)
	dev.Gather(last, h, ends)
	head, softcap := b.m.Head()
	// Twice the beams survive even if every beam's best token is the end.
	top := dev.TopK(last, head, 2*b.o.Beams, softcap, banned)
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
// 2·Beams extensions, of which those that end may enter the finished slots
// and the others run on.
func (b *beamSearch) advance(s *sentence, top []tensor.Candidates) {
	length := len(s.running[0].tokens) + 1 // of the extended hypotheses
	var cands []candidate
	for i, c := range top {
		for j, t := range c.Tokens {
			cands = append(cands, candidate{i, t, s.running[i].score + c.LogP[j], t == b.o.EOS || length >= b.o.MaxLength})
		}
	}
	slices.SortStableFunc(cands, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.beam, y.beam), cmp.Compare(x.token, y.token))
	})
	if k := 2 * b.o.Beams; len(cands) > k {
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
	s.done = !s.open || all || b.o.EarlyStopping && full || len(s.running) == 0
}

// finish lets ended candidates among the best Beams into the finished slots.
func (b *beamSearch) finish(s *sentence, cands []candidate, length int) {
	if !s.open || b.o.EarlyStopping && len(s.finished) == b.o.Beams {
		return
	}
	norm := float32(math.Pow(float64(length-1), b.o.LengthPenalty))
	for rank, c := range cands {
		if rank >= b.o.Beams {
			break
		}
		if c.ends {
			tokens := append(slices.Clone(s.running[c.beam].tokens), c.token)
			s.finished = append(s.finished, Hypothesis{tokens, c.score / norm})
		}
	}
	slices.SortStableFunc(s.finished, func(x, y Hypothesis) int { return cmp.Compare(y.Score, x.Score) })
	s.finished = s.finished[:min(len(s.finished), b.o.Beams)]
}

// reorder makes the best Beams unfinished candidates the running beams.
// Parents' cache rows are shared, not copied.
func (b *beamSearch) reorder(s *sentence, cands []candidate) {
	old := s.running
	s.running = make([]beam, 0, b.o.Beams)
	for _, c := range cands {
		if c.ends || len(s.running) == b.o.Beams {
			continue
		}
		parent := &old[c.beam]
		b.cache.Share(parent.rows)
		s.running = append(s.running, beam{
			tokens: append(slices.Clone(parent.tokens), c.token),
			rows:   slices.Clone(parent.rows),
			score:  c.score,
		})
	}
	for i := range old {
		b.cache.Release(old[i].rows)
	}
}

// canImprove is the reference's heuristic: a free slot, or a running beam
// that at its present length would beat the worst finished hypothesis.
func (b *beamSearch) canImprove(s *sentence, length int) bool {
	if len(s.finished) < b.o.Beams {
		return true
	}
	if len(s.running) == 0 {
		return false
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
