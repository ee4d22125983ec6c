package nn

import "barka/internal/tensor"

// Attention is multi-head attention with its four projections: causal or
// not, grouped-query, with rotary positions when Freqs has frequencies.
type Attention struct {
	Q, K, V, O Linear
	// QNorm and KNorm normalise each head of the queries and keys [Dh] before
	// the rotation, or after it with NormRotated; nil for none.
	QNorm, KNorm *RMSNorm
	NormRotated  bool
	Spec         tensor.Attention
	Freqs        []float32 // rotary frequencies; nil: none
	RopeScale    float32
}

// KV is the key and value memory of one layer [R, G·Dh]: a cache that grows
// by rows, or the keys of an encoded source.
type KV struct{ K, V tensor.Tensor }

// With puts the keys and values of a pass [T, G·Dh] beside those of the cache,
// if there is one, and returns what the layout's keys index. Where that is a
// tensor of its own it takes the place of k and v.
func (c *KV) With(p *Pass, k, v *tensor.Tensor) (keys, values tensor.Tensor) {
	switch {
	case c == nil:
	case p.Rows != nil:
		p.Dev.Scatter(c.K, *k, p.Rows)
		p.Dev.Scatter(c.V, *v, p.Rows)
		return c.K, c.V
	default:
		*k, *v = p.join(c.K, *k), p.join(c.V, *v)
	}
	return *k, *v
}

// join returns the trunk's rows with a pass's own after them, and only then
// overwrites the trunk: the pass reads rows that it does not keep.
func (p *Pass) join(trunk, own tensor.Tensor) tensor.Tensor {
	all := own
	if p.PrefixRows > 0 {
		all = p.Dev.Alloc(p.PrefixRows+own.Rows, own.Cols)
		p.Dev.Copy(all.Slice(0, p.PrefixRows), trunk.Slice(0, p.PrefixRows))
		p.Dev.Copy(all.Slice(p.PrefixRows, all.Rows), own)
		p.Dev.Free(own)
	}
	if len(p.Keep) > 0 {
		p.Dev.Gather(trunk.Slice(0, len(p.Keep)), all, p.Keep)
	}
	return all
}

// AttentionSaved is what Backward needs of Forward.
type AttentionSaved struct {
	q, k, v, out, lse tensor.Tensor
	qIn, kIn          tensor.Tensor // q and k before QNorm and KNorm
	uq, uk, uv, uo    tensor.Tensor
}

func (s *AttentionSaved) free(dev tensor.Device) {
	dev.Free(s.q, s.k, s.v, s.out, s.lse, s.qIn, s.kIn, s.uq, s.uk, s.uv, s.uo)
	*s = AttentionSaved{}
}

func (a *Attention) rotary(heads int) tensor.Rotary {
	scale := a.RopeScale
	if scale == 0 {
		scale = 1
	}
	return tensor.Rotary{Heads: heads, HeadDim: a.Spec.HeadDim, Freqs: a.Freqs, Scale: scale}
}

// Forward fills y [T,D] from x [T,D], self-attention. What the layout's keys
// index is the batch itself, or with a cache what Pass says. saved may be nil.
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
	s.qIn = a.place(p, s.q, a.QNorm, a.Spec.Heads, saved != nil)
	s.kIn = a.place(p, s.k, a.KNorm, a.Spec.KVHeads, saved != nil)
	keys, values := cache.With(p, &s.k, &s.v)
	dev.Attend(s.out, s.lse, s.q, keys, values, a.Spec, p.Layout)
	s.uo = a.O.Forward(p, y, s.out)
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// place rotates x [T, heads·Dh], queries or keys, by their positions and
// normalises each head, in the order that the architecture has them. With save
// it returns what the norm read, which placeBackward wants back.
func (a *Attention) place(p *Pass, x tensor.Tensor, norm *RMSNorm, heads int, save bool) (in tensor.Tensor) {
	dev := p.Dev
	if a.NormRotated {
		a.rotate(p, x, heads, false)
	}
	if norm != nil {
		if save {
			in = dev.Alloc(x.Rows, x.Cols)
			dev.Copy(in, x)
		}
		norm.Forward(dev, x.Heads(heads), x.Heads(heads))
	}
	if !a.NormRotated {
		a.rotate(p, x, heads, false)
	}
	return in
}

// placeBackward turns dx [T, heads·Dh], the gradient of what place left, into
// that of what it was given, in place. in is what place returned.
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

func (a *Attention) rotate(p *Pass, x tensor.Tensor, heads int, inverse bool) {
	if a.Freqs != nil {
		p.Dev.Rotate(x, p.Positions, a.rotary(heads), inverse)
	}
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
	a.placeBackward(p, dq, saved.qIn, a.QNorm, a.Spec.Heads)
	a.placeBackward(p, dk, saved.kIn, a.KNorm, a.Spec.KVHeads)
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
