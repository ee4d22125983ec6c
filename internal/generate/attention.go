package generate

import (
	"fmt"
	"math/bits"
	"slices"

	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// attention finds out which source tokens an output attends to. The search keeps the queries
// of one layer's cross-attention, in the rows of the beams' tokens. Only the weights of
// finished hypotheses are computed. A nil attention does nothing.
type attention struct {
	dev     tensor.Device
	source  *model.Cache // keys of the encoded sources
	layer   int
	spec    tensor.Attention
	queries tensor.Tensor // [rows, H·Dh]
}

// newAttention returns nil if attention is not wanted, or the model does not show it.
func newAttention(m model.Seq2Seq, source *model.Cache, o BeamOptions) *attention {
	aligner, ok := m.(model.Aligner)
	if !ok || !o.Attention {
		return nil
	}
	a := &attention{dev: m.Device(), source: source}
	a.layer, a.spec = aligner.Alignment()
	return a
}

// reserve returns the queries, with room for the given rows.
func (a *attention) reserve(rows []int32) tensor.Tensor {
	if a == nil {
		return tensor.Tensor{}
	}
	if need := int(slices.Max(rows)) + 1; need > a.queries.Rows {
		grown := a.dev.Alloc(1<<bits.Len(uint(need)), a.spec.Heads*a.spec.HeadDim)
		if a.queries.Rows > 0 {
			a.dev.Copy(grown.Slice(0, a.queries.Rows), a.queries)
		}
		a.free()
		a.queries = grown
	}
	return a.queries
}

func (a *attention) free() {
	if a != nil {
		a.dev.Free(a.queries)
		a.queries = tensor.Tensor{}
	}
}

// of returns the attention that a beam's steps, from that of the last token before the first
// free one, pay to the tokens of its source.
func (a *attention) of(s *sentence, r *beam) []float32 {
	if a == nil {
		return nil
	}
	return a.mass(r.rows[s.begin-1:], s.source)
}

// mass returns the sum over steps of the mean over heads of the attention to each row of the
// source. The gradient of the values Vᵀ·1 = Σ P is what AttendBackward computes from gradients
// of 1, so that every device can do it.
func (a *attention) mass(steps, source []int32) []float32 {
	width, T, S := a.spec.Heads*a.spec.HeadDim, len(steps), len(source)
	alloc := func(rows, cols int) tensor.Tensor { return a.dev.Alloc(rows, cols) }
	q, out, ones, dq := alloc(T, width), alloc(T, width), alloc(T, width), alloc(T, width) // [T, H·Dh]
	k, dk, dv := alloc(S, width), alloc(S, width), alloc(S, width)                         // [S, H·Dh]
	lse := alloc(T, a.spec.Heads)
	defer a.dev.Free(q, out, ones, dq, k, dk, dv, lse)
	a.dev.Gather(q, a.queries, tensor.Ints{Host: steps})
	a.dev.Gather(k, a.source.Layer(a.layer).K, tensor.Ints{Host: source})
	a.dev.Upload(ones, slices.Repeat([]float32{1}, T*width))
	keys := tensor.Packed(S)
	l := tensor.Keys{Layout: &tensor.Layout{Starts: []int32{0, int32(T)}, Past: []int32{0}, Keys: keys.Keys}}
	a.dev.Attend(out, lse, q, k, k, a.spec, l)
	a.dev.AttendBackward(dq, dk, dv, ones, out, lse, q, k, k, a.spec, l)
	sums := make([]float32, S*width)
	a.dev.Download(sums, dv)
	mass := make([]float32, S)
	for i := range mass {
		for h := range a.spec.Heads {
			mass[i] += sums[i*width+h*a.spec.HeadDim]
		}
		mass[i] /= float32(a.spec.Heads)
	}
	return mass
}

// Attention returns the attention that each token of a source gets from a given output, as
// Hypothesis.Attention has it. The output begins with the start token and the forced tokens;
// forced is their number. Its last token, which ends it, is not run.
func Attention(m model.Seq2Seq, source, output []int32, forced int) (mass []float32, err error) {
	defer tensor.Guard(&err)
	if len(source) == 0 || forced < 1 || len(output) <= forced {
		return nil, fmt.Errorf("attention of an output of %d tokens, %d of them forced, to a source of %d", len(output), forced, len(source))
	}
	b := &beamSearch{m: m, o: BeamOptions{Beams: 1, MaxLength: len(output) + 1, Attention: true}, cache: m.NewCache(), source: m.NewCache()}
	if err := b.o.check(); err != nil {
		return nil, err
	}
	defer b.cache.Free()
	defer b.source.Free()
	b.pool = newPool(b.cache, 0, 0, false)
	if b.attention = newAttention(m, b.source, b.o); b.attention == nil {
		return nil, fmt.Errorf("the model does not show its attention")
	}
	defer b.attention.free()
	active, err := b.admit([]Source{{Tokens: source, ForcedBOS: -1}}, 0)
	if err != nil {
		return nil, err
	}
	s := active[0]
	s.begin = forced
	r := s.running[0]
	r.tokens = output[:len(output)-1]
	b.reset()
	b.add(s, r)
	b.pass = nn.Pass{Dev: m.Device(), Layout: &b.layout, Positions: b.positions, Rows: b.rows, Queries: b.attention.reserve(b.rows)}
	h, err := m.Decode(&b.pass, b.tokens, b.cache, b.source, &b.cross)
	if err != nil {
		return nil, err
	}
	m.Device().Free(h)
	return b.attention.of(s, r), nil
}
