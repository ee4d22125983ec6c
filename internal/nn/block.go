package nn

import "barka/internal/tensor"

// Norm normalises the rows of x [T,D]: RMSNorm or LayerNorm.
type Norm interface {
	// Forward fills y from x.
	Forward(dev tensor.Device, y, x tensor.Tensor)
	// Backward fills dx from dy, or adds to it with accumulate. x is Forward's input. dx
	// may be dy.
	Backward(dev tensor.Device, dx, dy, x tensor.Tensor, accumulate bool)
}

// Block is one layer of a decoder: it adds to the residual stream x [T,D].
type Block interface {
	// Forward updates x in place; cache may be nil.
	Forward(p *Pass, x tensor.Tensor, cache *KV)
	// ForwardSave returns the new residual stream, which is none in a rerun, and what
	// Backward needs. It takes ownership of x.
	ForwardSave(p *Pass, x tensor.Tensor) (tensor.Tensor, BlockSaved)
	// Linears lists the layers that an adapter can be attached to.
	Linears() []*Linear
}

// BlockSaved is one saved forward pass of a block.
type BlockSaved interface {
	// Backward turns dx, the gradient of the block's output, into the gradient of its
	// input, in place, and frees what was saved. With last nothing below the block
	// trains, and the gradient of the input is not computed.
	Backward(p *Pass, dx tensor.Tensor, last bool)
}

// PreNorm is the block of Llama and similar models:
// x += Attn(AttnNorm(x)); x += MLP(MLPNorm(x)).
type PreNorm struct {
	AttnNorm, MLPNorm RMSNorm
	Attn              Attention
	MLP               GatedMLP
}

// preNormSaved holds the activations [T,D] of a PreNorm and those inside its layers.
type preNormSaved struct {
	b          *PreNorm
	x, attnIn  tensor.Tensor // the residual stream before attention, and its norm
	mid, mlpIn tensor.Tensor // the residual stream after attention, and its norm
	attn       AttentionSaved
	mlp        GatedSaved
}

// Forward implements Block.
func (b *PreNorm) Forward(p *Pass, x tensor.Tensor, cache *KV) {
	dev := p.Dev
	in, out := b.Attn.Q.Operand(dev, x.Rows, x.Cols), dev.Alloc(x.Rows, x.Cols) // in, out [T,D]
	defer dev.Free(in, out)
	b.AttnNorm.Forward(dev, in, x)
	b.Attn.Forward(p, out, in, cache, nil)
	dev.AddRMSNorm(in, x, x, out, tensor.RMSNorm{}, b.MLPNorm.device())
	b.MLP.Forward(p, out, in, nil)
	dev.Add(x, out)
}

// ForwardSave implements Block.
func (b *PreNorm) ForwardSave(p *Pass, x tensor.Tensor) (tensor.Tensor, BlockSaved) {
	dev := p.Dev
	operand := func() tensor.Tensor { return b.Attn.Q.Operand(dev, x.Rows, x.Cols) }
	s := &preNormSaved{b: b, x: x, attnIn: operand(), mid: dev.Alloc(x.Rows, x.Cols), mlpIn: operand()}
	b.AttnNorm.Forward(dev, s.attnIn, x)
	b.Attn.Forward(p, s.mid, s.attnIn, nil, &s.attn)
	dev.AddRMSNorm(s.mlpIn, s.mid, x, s.mid, tensor.RMSNorm{}, b.MLPNorm.device())
	out := p.Result(x)
	b.MLP.Forward(p, out, s.mlpIn, &s.mlp)
	if !out.None() {
		dev.Add(out, s.mid)
	}
	return out, s
}

// Backward implements BlockSaved.
func (s *preNormSaved) Backward(p *Pass, dx tensor.Tensor, last bool) {
	dev, b := p.Dev, s.b
	d := dev.Alloc(dx.Rows, dx.Cols) // d [T,D], of a layer's input
	b.MLP.Backward(p, d, dx, s.mlpIn, &s.mlp)
	b.MLPNorm.Backward(dev, dx, d, s.mid, true)
	if last {
		b.Attn.Backward(p, tensor.Tensor{}, dx, s.attnIn, &s.attn)
	} else {
		b.Attn.Backward(p, d, dx, s.attnIn, &s.attn)
		b.AttnNorm.Backward(dev, dx, d, s.x, true)
	}
	dev.Free(d, s.x, s.attnIn, s.mid, s.mlpIn)
	*s = preNormSaved{}
}

// Linears implements Block.
func (b *PreNorm) Linears() []*Linear {
	a, m := &b.Attn, &b.MLP
	return []*Linear{&a.Q, &a.K, &a.V, &a.O, &m.Gate, &m.Up, &m.Down}
}
