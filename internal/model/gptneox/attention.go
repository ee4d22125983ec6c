package gptneox

import (
	"barka/internal/lora"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// attention is multi-head attention with one projection for queries, keys and values. Its
// outputs are q|k|v for each head.
type attention struct {
	qkv, out nn.Linear // [3·D,D], [D,D]
	spec     tensor.Attention
	rotary   tensor.Rotary
}

// attentionSaved is what forward saves for backward.
type attentionSaved struct {
	q, k, v, mixed tensor.Tensor // [T,D] mixed is the weighted sum of values
	lse            tensor.Tensor // [T,H] log-sum-exp of the scores
	uqkv, uout     lora.Saved    // of the adapters
}

// forward fills y [T,D] from x [T,D]; saved may be nil.
func (a *attention) forward(p *nn.Pass, y, x tensor.Tensor, cache *nn.KV, saved *attentionSaved) {
	dev, T, D := p.Dev, x.Rows, x.Cols
	operand := func(cols int) tensor.Tensor { return a.qkv.Operand(dev, T, cols) }
	s := attentionSaved{q: operand(D), k: operand(D), v: operand(D), mixed: operand(D)}
	if saved != nil {
		s.lse = dev.Alloc(T, a.spec.Heads)
	}
	qkv := operand(3 * D) // qkv [T,3·D]
	s.uqkv = a.qkv.Forward(p, qkv, x)
	dev.SplitHeads(s.q, s.k, s.v, qkv, a.spec.Heads) // q, k, v [T,D]
	dev.Free(qkv)
	dev.Rotate(s.q, p.Batch.Positions, a.rotary, false)
	dev.Rotate(s.k, p.Batch.Positions, a.rotary, false)
	keys, values := cache.With(p, &s.k, &s.v)                           // [R,D]
	dev.Attend(s.mixed, s.lse, s.q, keys, values, a.spec, p.Batch.Keys) // mixed [T,D]
	s.uout = a.out.Forward(p, y, s.mixed)                               // y [T,D]
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// backward fills dx [T,D] from dy [T,D] and frees saved. If dx is none, only the adapters'
// gradients are computed. x [T,D] is forward's input.
func (a *attention) backward(p *nn.Pass, dx, dy, x tensor.Tensor, saved *attentionSaved) {
	dev, T, D := p.Dev, dy.Rows, dy.Cols
	operand := func(cols int) tensor.Tensor { return a.qkv.Operand(dev, T, cols) }
	dmixed, dqkv := operand(D), operand(3*D) // dmixed [T,D], dqkv [T,3·D]
	dq, dk, dv := operand(D), operand(D), operand(D)
	defer dev.Free(dmixed, dqkv, dq, dk, dv)
	a.out.Backward(p, dmixed, dy, saved.mixed, saved.uout, false)
	dev.AttendBackward(dq, dk, dv, dmixed, saved.mixed, saved.lse, saved.q, saved.k, saved.v, a.spec, p.Batch.Keys)
	dev.Rotate(dq, p.Batch.Positions, a.rotary, true)
	dev.Rotate(dk, p.Batch.Positions, a.rotary, true)
	dev.JoinHeads(dqkv, dq, dk, dv, a.spec.Heads)
	a.qkv.Backward(p, dx, dqkv, x, saved.uqkv, false)
	saved.free(dev)
}

func (s *attentionSaved) free(dev tensor.Device) {
	dev.Free(s.q, s.k, s.v, s.mixed, s.lse)
	s.uqkv.Free(dev)
	s.uout.Free(dev)
	*s = attentionSaved{}
}
