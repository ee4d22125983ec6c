package generate

import (
	"context"
	"slices"

	"barka/internal/model"
	"barka/internal/tensor"
)

// Source is a text to translate.
type Source struct {
	Tokens    []int32
	ForcedBOS int32 // first output token after Start, such as a language; -1: none
	// NoRepeatNGram replaces that of the options, if it is positive.
	NoRepeatNGram int
}

// BeamStream translates sources while they arrive. next returns the next one, and false if
// there is none at present. It is called with wait when nothing is left to do: then it
// blocks, and false ends the search. done is called with each result. Its index counts the
// calls of next; results come in another order. Each result depends on its source alone.
func BeamStream(ctx context.Context, m model.Seq2Seq, o BeamOptions, next func(wait bool) (Source, bool),
	done func(index int, best []Hypothesis) error) (err error) {
	defer tensor.Guard(&err)
	if o.EncodeBatchTokens <= 0 {
		o.EncodeBatchTokens = model.PassTokens(m.Device(), m.Info(), encodeTokens)
	}
	if err := o.check(); err != nil {
		return err
	}
	b := &beamSearch{m: m, o: o, cache: m.NewCache(), source: m.NewCache()}
	defer b.cache.Free()
	defer b.source.Free()
	defer b.drawing.close()
	b.pool = newPool(b.cache, 0, 0, false)
	b.attention = newAttention(m, b.source, o)
	defer b.attention.free()
	var active []*sentence
	var waiting []Source // taken, but not yet encoded
	for first := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		for len(active)+len(waiting) < o.MaxActive {
			source, ok := next(len(active)+len(waiting) == 0)
			if !ok {
				break
			}
			waiting = append(waiting, source)
		}
		if len(waiting) > 0 {
			if first == 0 {
				b.reserve(waiting)
			}
			fresh, err := b.admit(waiting, first)
			if err != nil {
				return err
			}
			active, waiting, first = append(active, fresh...), waiting[len(fresh):], first+len(fresh)
		}
		if len(active) == 0 {
			return ctx.Err()
		}
		if err := b.step(active); err != nil {
			return err
		}
		if active, err = b.finished(active, done); err != nil {
			return err
		}
	}
}

// finished hands over the results of sentences that are done, and returns the others.
func (b *beamSearch) finished(active []*sentence, done func(int, []Hypothesis) error) (rest []*sentence, err error) {
	rest = slices.DeleteFunc(active, func(s *sentence) bool {
		if !s.done {
			return false
		}
		for _, r := range s.running {
			b.pool.release(r.last())
		}
		b.source.Release(s.source)
		if err == nil {
			err = done(s.index, s.finished[:min(len(s.finished), b.o.NumReturn)])
		}
		return true
	})
	return rest, err
}
