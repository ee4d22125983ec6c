package nn

import (
	"barka/internal/lora"
	"barka/internal/tensor"
)

// Attention is multi-head attention with its four projections (Vaswani et al., "Attention
// Is All You Need", 2017). It is causal or not, has grouped queries if KVHeads is smaller
// than Heads, and rotary positions if Freqs is set.
type Attention struct {
	Q, K, V, O Linear // [H·Dh,D], [G·Dh,D], [G·Dh,D], [D,H·Dh]
	// QNorm and KNorm normalise each head [Dh] of the queries and keys, before the rotation
	// or, with NormRotated, after it. nil means no norm.
	QNorm, KNorm *RMSNorm
	NormRotated  bool
	Spec         tensor.Attention
	Freqs        []float32 // [Dh/2 or fewer] rotary frequencies; nil for none
	RopeScale    float32   // of cosine and sine; 0 means 1
}

// KV holds the keys and values [R, G·Dh] of one layer: a cache, or the projection of an
// encoded source.
type KV struct{ K, V tensor.Tensor }

// With returns the keys and values that the layout's keys index, by the cache mode of the
// pass. k and v [T, G·Dh] are the pass's own. With a prefix the two tensors are
// replaced by joined ones [PrefixRows+T, G·Dh].
func (c *KV) With(p *Pass, k, v *tensor.Tensor) (keys, values tensor.Tensor) {
	switch {
	case c == nil: // no cache
	case p.Rows != nil: // slots
		p.Dev.Scatter(c.K, *k, p.Batch.Rows)
		p.Dev.Scatter(c.V, *v, p.Batch.Rows)
		return c.K, c.V
	default: // prefix
		*k, *v = p.join(c.K, *k), p.join(c.V, *v)
	}
	return *k, *v
}

// join returns the prefix's rows of cache followed by the pass's own [T, G·Dh], which it
// frees. Then it overwrites the cache by the rows to keep. The pass needs a copy of the
// prefix because it also reads rows that are not kept.
func (p *Pass) join(cache, own tensor.Tensor) tensor.Tensor {
	all := own
	if p.PrefixRows > 0 {
		all = p.Dev.AllocAs(p.PrefixRows+own.Rows, own.Cols, own.Type)
		p.Dev.Copy(all.Slice(0, p.PrefixRows), cache.Slice(0, p.PrefixRows))
		p.Dev.Copy(all.Slice(p.PrefixRows, all.Rows), own)
		p.Dev.Free(own)
	}
	if len(p.Keep) > 0 {
		p.Dev.Gather(cache.Slice(0, len(p.Keep)), all, p.Batch.Keep)
	}
	return all
}

// AttentionSaved is what Forward saves for Backward.
type AttentionSaved struct {
	q, out         tensor.Tensor // [T, H·Dh] q as Attend reads it
	k, v           tensor.Tensor // [T, G·Dh] k as Attend reads it
	lse            tensor.Tensor // [T, H] log-sum-exp of the scores
	qIn, kIn       tensor.Tensor // q and k before QNorm and KNorm, or none
	uq, uk, uv, uo lora.Saved    // of the projections' adapters
}

func (s *AttentionSaved) free(dev tensor.Device) {
	dev.Free(s.q, s.k, s.v, s.out, s.lse, s.qIn, s.kIn)
	for _, u := range [...]lora.Saved{s.uq, s.uk, s.uv, s.uo} {
		u.Free(dev)
	}
	*s = AttentionSaved{}
}

func (a *Attention) rotary(heads int) tensor.Rotary {
	scale := a.RopeScale
	if scale == 0 {
		scale = 1
	}
	return tensor.Rotary{Heads: heads, HeadDim: a.Spec.HeadDim, Freqs: a.Freqs, Scale: scale}
}

// Forward fills y [T,D] from x [T,D] by self-attention. Pass describes what the layout's
// keys index, with and without a cache. saved may be nil.
func (a *Attention) Forward(p *Pass, y, x tensor.Tensor, cache *KV, saved *AttentionSaved) {
	dev, T := p.Dev, x.Rows
	s := AttentionSaved{
		q:   a.Q.Operand(dev, T, a.Spec.Heads*a.Spec.HeadDim),
		k:   a.K.Operand(dev, T, a.Spec.KVHeads*a.Spec.HeadDim),
		v:   a.V.Operand(dev, T, a.Spec.KVHeads*a.Spec.HeadDim),
		out: a.O.Operand(dev, T, a.Spec.Heads*a.Spec.HeadDim),
	}
	if saved != nil {
		s.lse = dev.Alloc(T, a.Spec.Heads)
	}
	u := together(p, x, [3]*Linear{&a.Q, &a.K, &a.V}, [3]tensor.Tensor{s.q, s.k, s.v}) // q [T, H·Dh]; k, v [T, G·Dh]
	s.uq, s.uk, s.uv = u[0], u[1], u[2]
	s.qIn = a.place(p, s.q, a.QNorm, a.Spec.Heads, saved != nil)
	s.kIn = a.place(p, s.k, a.KNorm, a.Spec.KVHeads, saved != nil)
	keys, values := cache.With(p, &s.k, &s.v)                         // [R, G·Dh]
	dev.Attend(s.out, s.lse, s.q, keys, values, a.Spec, p.Batch.Keys) // out [T, H·Dh]
	s.uo = a.O.Forward(p, y, s.out)                                   // y [T, D]
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// place rotates x [T, heads·Dh], queries or keys, by their positions and normalises each
// head, in the architecture's order. With save it returns a copy of the norm's input, which
// placeBackward takes.
func (a *Attention) place(p *Pass, x tensor.Tensor, norm *RMSNorm, heads int, save bool) (in tensor.Tensor) {
	dev := p.Dev
	if a.NormRotated {
		a.rotate(p, x, heads, false)
	}
	if norm != nil {
		if save {
			in = dev.AllocAs(x.Rows, x.Cols, x.Type)
			dev.Copy(in, x)
		}
		norm.Forward(dev, x.Heads(heads), x.Heads(heads))
	}
	if !a.NormRotated {
		a.rotate(p, x, heads, false)
	}
	return in
}

// placeBackward turns dx [T, heads·Dh], the gradient of place's result, into the gradient
// of its input, in place. in is what place returned.
func (a *Attention) placeBackward(p *Pass, dx, in tensor.Tensor, norm *RMSNorm, heads int) {
	if !a.NormRotated {
		a.rotate(p, dx, heads, true)
	}
	if norm != nil {
		norm.Backward(p.Dev, dx.Heads(heads), dx.Heads(heads), in.Heads(heads), false)
	}
	if a.NormRotated {
		a.rotate(p, dx, heads, true)
	}
}

// rotate rotates x [T, heads·Dh] if the attention has rotary positions.
func (a *Attention) rotate(p *Pass, x tensor.Tensor, heads int, inverse bool) {
	if a.Freqs != nil {
		p.Dev.Rotate(x, p.Batch.Positions, a.rotary(heads), inverse)
	}
}

// Backward fills dx [T,D] from dy [T,D] and frees saved. If dx is none, only the adapters'
// gradients are computed. x [T,D] is Forward's input.
func (a *Attention) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *AttentionSaved) {
	dev := p.Dev
	dout, dq := like(dev, saved.out), like(dev, saved.q) // [T, H·Dh]
	dk, dv := like(dev, saved.k), like(dev, saved.v)     // [T, G·Dh]
	defer dev.Free(dout, dq, dk, dv)
	a.O.Backward(p, dout, dy, saved.out, saved.uo, false)
	dev.AttendBackward(dq, dk, dv, dout, saved.out, saved.lse, saved.q, saved.k, saved.v, a.Spec, p.Batch.Keys)
	a.placeBackward(p, dq, saved.qIn, a.QNorm, a.Spec.Heads)
	a.placeBackward(p, dk, saved.kIn, a.KNorm, a.Spec.KVHeads)
	a.Q.Backward(p, dx, dq, x, saved.uq, false)
	a.K.Backward(p, dx, dk, x, saved.uk, true)
	a.V.Backward(p, dx, dv, x, saved.uv, true)
	saved.free(dev)
}

// Project computes the keys and values of source states x [T,D] for Cross and stores them
// in the given rows of source. That happens once per sentence, whatever the number of
// beams.
func (a *Attention) Project(p *Pass, source *KV, rows tensor.Ints, x tensor.Tensor) {
	dev := p.Dev
	t := a.K.Operand(dev, x.Rows, a.Spec.KVHeads*a.Spec.HeadDim) // t [T, G·Dh]
	defer dev.Free(t)
	a.K.Forward(p, t, x)
	dev.Scatter(source.K, t, rows)
	a.V.Forward(p, t, x)
	dev.Scatter(source.V, t, rows)
}

// Cross fills y [T,D] from queries x [T,D] by attention to the projected keys of source.
// The pass's source layout lists, for each sequence, the rows of its source. With keep the
// queries are stored in p.Queries.
func (a *Attention) Cross(p *Pass, y, x tensor.Tensor, source *KV, keep bool) {
	dev, width := p.Dev, a.Spec.Heads*a.Spec.HeadDim
	q, out := a.Q.Operand(dev, x.Rows, width), a.O.Operand(dev, x.Rows, width) // q, out [T, H·Dh]
	defer dev.Free(q, out)
	a.Q.Forward(p, q, x)
	if keep {
		dev.Scatter(p.Queries, q, p.Batch.Rows)
	}
	dev.Attend(out, tensor.Tensor{}, q, source.K, source.V, a.Spec, p.Batch.Source)
	a.O.Forward(p, y, out)
}
