package nn

import "barka/internal/tensor"

// Sandwich is the block of Gemma 2 and Gemma 3, with a norm before and after
// each half: x += PostAttn(Attn(PreAttn(x))); x += PostMLP(MLP(PreMLP(x))).
type Sandwich struct {
	PreAttn, PostAttn, PreMLP, PostMLP RMSNorm
	Attn                               Attention
	MLP                                GatedMLP
}

// sandwichSaved holds the activations [T,D] of a Sandwich and those inside its layers.
type sandwichSaved struct {
	b                  *Sandwich
	x, attnIn, attnOut tensor.Tensor // the residual stream, PreAttn's result, PostAttn's input
	mid, mlpIn, mlpOut tensor.Tensor // the residual stream after attention, and the same of the MLP
	attn               AttentionSaved
	mlp                GatedSaved
}

// Linears implements Block.
func (b *Sandwich) Linears() []*Linear {
	a, m := &b.Attn, &b.MLP
	return []*Linear{&a.Q, &a.K, &a.V, &a.O, &m.Gate, &m.Up, &m.Down}
}

// Forward implements Block.
func (b *Sandwich) Forward(p *Pass, x tensor.Tensor, cache *KV) {
	dev := p.Dev
	in, out := b.operand(dev, x), b.operand(dev, x) // in, out [T,D]
	b.PreAttn.Forward(dev, in, x)
	b.Attn.Forward(p, out, in, cache, nil)
	dev.AddRMSNorm(in, x, x, out, b.PostAttn.device(), b.PreMLP.device())
	b.MLP.Forward(p, out, in, nil)
	dev.Free(in)
	d := dev.Alloc(x.Rows, x.Cols) // d [T,D]
	b.PostMLP.Forward(dev, d, out)
	dev.Add(x, d)
	dev.Free(d, out)
}

// operand allocates a layer's input or output [T,D], in the shape of x.
func (b *Sandwich) operand(dev tensor.Device, x tensor.Tensor) tensor.Tensor {
	return b.Attn.Q.Operand(dev, x.Rows, x.Cols)
}

// ForwardSave implements Block.
func (b *Sandwich) ForwardSave(p *Pass, x tensor.Tensor) (tensor.Tensor, BlockSaved) {
	dev := p.Dev
	operand := func() tensor.Tensor { return b.operand(dev, x) }
	s := &sandwichSaved{b: b, x: x, attnIn: operand(), attnOut: operand(), mid: dev.Alloc(x.Rows, x.Cols), mlpIn: operand(), mlpOut: operand()}
	b.PreAttn.Forward(dev, s.attnIn, x)
	b.Attn.Forward(p, s.attnOut, s.attnIn, nil, &s.attn)
	dev.AddRMSNorm(s.mlpIn, s.mid, x, s.attnOut, b.PostAttn.device(), b.PreMLP.device())
	b.MLP.Forward(p, s.mlpOut, s.mlpIn, &s.mlp)
	out := p.Result(x)
	if !out.None() {
		b.PostMLP.Forward(dev, out, s.mlpOut)
		dev.Add(out, s.mid)
	}
	return out, s
}

// Backward implements BlockSaved.
func (s *sandwichSaved) Backward(p *Pass, dx tensor.Tensor, last bool) {
	dev, b := p.Dev, s.b
	d, in := b.operand(dev, dx), dev.Alloc(dx.Rows, dx.Cols) // d, in [T,D], of a layer's output and input
	b.PostMLP.Backward(dev, d, dx, s.mlpOut, false)
	b.MLP.Backward(p, in, d, s.mlpIn, &s.mlp)
	b.PreMLP.Backward(dev, dx, in, s.mid, true)

	b.PostAttn.Backward(dev, d, dx, s.attnOut, false)
	if last {
		b.Attn.Backward(p, tensor.Tensor{}, d, s.attnIn, &s.attn)
	} else {
		b.Attn.Backward(p, in, d, s.attnIn, &s.attn)
		b.PreAttn.Backward(dev, dx, in, s.x, true)
	}
	dev.Free(d, in, s.x, s.attnIn, s.attnOut, s.mid, s.mlpIn, s.mlpOut)
	*s = sandwichSaved{}
}
