package nn

import "barka/internal/tensor"

// Attention is multi-head attention with its four projections: causal or
// not, grouped-query, with rotary positions when Rotary has frequencies.
type Attention struct {
	Q, K, V, O Linear
	Spec       tensor.Attention
	Freqs      []float32 // rotary frequencies; nil: none
	RopeScale  float32
}

// KV is the key and value memory of one layer [R, G·Dh]: a cache that grows
// by rows, or the keys of an encoded source.
type KV struct{ K, V tensor.Tensor }

// AttentionSaved is what Backward needs of Forward.
type AttentionSaved struct {
	q, k, v, out, lse tensor.Tensor
	uq, uk, uv, uo    tensor.Tensor
}

func (s *AttentionSaved) free(dev tensor.Device) {
	dev.Free(s.q, s.k, s.v, s.out, s.lse, s.uq, s.uk, s.uv, s.uo)
	*s = AttentionSaved{}
}

func (a *Attention) rotary(heads int) tensor.Rotary {
	scale := a.RopeScale
	if scale == 0 {
		scale = 1
	}
	return tensor.Rotary{Heads: heads, HeadDim: a.Spec.HeadDim, Freqs: a.Freqs, Scale: scale}
}

// Forward fills y [T,D] from x [T,D], self-attention. With a cache the new
// keys and values are stored at p.Rows and the layout's keys index the cache;
// without, they index the batch itself. saved may be nil.
func (a *Attention) Forward(p *Pass, y, x tensor.Tensor, cache *KV, saved *AttentionSaved) {
	dev, T := p.Dev, x.Rows
	s := AttentionSaved{
		q:   dev.Alloc(T, a.Spec.Heads*a.Spec.HeadDim),
		k:   dev.Alloc(T, a.Spec.KVHeads*a.Spec.HeadDim),
		v:   dev.Alloc(T, a.Spec.KVHeads*a.Spec.HeadDim),
		out: dev.Alloc(T, a.Spec.Heads*a.Spec.HeadDim),
	}
	if saved != nil {
		s.lse = dev.Alloc(T, a.Spec.Heads)
	}
	s.uq = a.Q.Forward(p, s.q, x)
	s.uk = a.K.Forward(p, s.k, x)
	s.uv = a.V.Forward(p, s.v, x)
	if a.Freqs != nil {
		dev.Rotate(s.q, p.Positions, a.rotary(a.Spec.Heads), false)
		dev.Rotate(s.k, p.Positions, a.rotary(a.Spec.KVHeads), false)
	}
	keys, values := s.k, s.v
	if cache != nil {
		dev.Scatter(cache.K, s.k, p.Rows)
		dev.Scatter(cache.V, s.v, p.Rows)
		keys, values = cache.K, cache.V
	}
	dev.Attend(s.out, s.lse, s.q, keys, values, a.Spec, p.Layout)
	s.uo = a.O.Forward(p, y, s.out)
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// Backward fills dx [T,D] from dy [T,D] (dx of none: gradients of the
// adapters only) and frees saved. x is Forward's input.
func (a *Attention) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *AttentionSaved) {
	dev := p.Dev
	dout := dev.Alloc(saved.out.Rows, saved.out.Cols)
	dq := dev.Alloc(saved.q.Rows, saved.q.Cols)
	dk := dev.Alloc(saved.k.Rows, saved.k.Cols)
	dv := dev.Alloc(saved.v.Rows, saved.v.Cols)
	defer dev.Free(dout, dq, dk, dv)
	a.O.Backward(p, dout, dy, saved.out, saved.uo, false)
	dev.AttendBackward(dq, dk, dv, dout, saved.out, saved.lse, saved.q, saved.k, saved.v, a.Spec, p.Layout)
	if a.Freqs != nil {
		dev.Rotate(dq, p.Positions, a.rotary(a.Spec.Heads), true)
		dev.Rotate(dk, p.Positions, a.rotary(a.Spec.KVHeads), true)
	}
	a.Q.Backward(p, dx, dq, x, saved.uq, false)
	a.K.Backward(p, dx, dk, x, saved.uk, true)
	a.V.Backward(p, dx, dv, x, saved.uv, true)
	saved.free(dev)
}

// Project stores the keys and values of source states x [T,D] for Cross in
// the given rows of source: once a sentence, whatever the number of beams.
func (a *Attention) Project(p *Pass, source *KV, rows []int32, x tensor.Tensor) {
	dev := p.Dev
	t := dev.Alloc(x.Rows, a.Spec.KVHeads*a.Spec.HeadDim)
	defer dev.Free(t)
	a.K.Forward(p, t, x)
	dev.Scatter(source.K, t, rows)
	a.V.Forward(p, t, x)
	dev.Scatter(source.V, t, rows)
}

// Cross fills y [T,D] from queries x [T,D] attending to projected source
// keys; the layout lists, for each sequence, the rows of its source.
func (a *Attention) Cross(p *Pass, y, x tensor.Tensor, source *KV, layout *tensor.Layout) {
	dev, width := p.Dev, a.Spec.Heads*a.Spec.HeadDim
	q, out := dev.Alloc(x.Rows, width), dev.Alloc(x.Rows, width)
	defer dev.Free(q, out)
	a.Q.Forward(p, q, x)
	dev.Attend(out, tensor.Tensor{}, q, source.K, source.V, a.Spec, layout)
	a.O.Forward(p, y, out)
}
