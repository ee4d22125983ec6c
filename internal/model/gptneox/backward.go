package gptneox

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// saved holds the activations [T,D] of a layer and those inside its attention and MLP.
type saved struct {
	l         *layer
	x, attnIn tensor.Tensor // the residual stream, and ln1's result
	mid       tensor.Tensor // the residual stream after attention; none in a parallel layer
	mlpIn     tensor.Tensor // ln2's result
	attn      attentionSaved
	mlp       nn.MLPSaved
}

// ForwardSave implements nn.Block.
func (l *layer) ForwardSave(p *nn.Pass, x tensor.Tensor) (tensor.Tensor, nn.BlockSaved) {
	dev := p.Dev
	operand := func() tensor.Tensor { return l.attn.qkv.Operand(dev, x.Rows, x.Cols) }
	s := &saved{l: l, x: x, attnIn: operand(), mlpIn: operand()}
	out := p.Result(x)
	l.ln1.Forward(dev, s.attnIn, x)
	if l.parallel {
		attn := p.Result(x)
		l.attn.forward(p, attn, s.attnIn, nil, &s.attn)
		l.ln2.Forward(dev, s.mlpIn, x)
		l.mlp.Forward(p, out, s.mlpIn, &s.mlp)
		if !out.None() {
			dev.Add(out, attn)
			dev.Add(out, x)
		}
		dev.Free(attn)
		return out, s
	}
	s.mid = dev.Alloc(x.Rows, x.Cols)
	l.attn.forward(p, s.mid, s.attnIn, nil, &s.attn)
	dev.Add(s.mid, x)
	l.ln2.Forward(dev, s.mlpIn, s.mid)
	l.mlp.Forward(p, out, s.mlpIn, &s.mlp)
	if !out.None() {
		dev.Add(out, s.mid)
	}
	return out, s
}

// Backward implements nn.BlockSaved.
func (s *saved) Backward(p *nn.Pass, dx tensor.Tensor, last bool) {
	if s.l.parallel {
		s.backwardParallel(p, dx, last)
	} else {
		s.backwardSequential(p, dx, last)
	}
	p.Dev.Free(s.x, s.attnIn, s.mid, s.mlpIn)
	*s = saved{}
}

// backwardParallel passes the gradient of the output to attention and to the MLP.
func (s *saved) backwardParallel(p *nn.Pass, dx tensor.Tensor, last bool) {
	dev, l := p.Dev, s.l
	if last {
		l.mlp.Backward(p, tensor.Tensor{}, dx, s.mlpIn, &s.mlp)
		l.attn.backward(p, tensor.Tensor{}, dx, s.attnIn, &s.attn)
		return
	}
	dattn, dmlp := dev.Alloc(dx.Rows, dx.Cols), dev.Alloc(dx.Rows, dx.Cols) // [T,D], of the norms' results
	defer dev.Free(dattn, dmlp)
	l.mlp.Backward(p, dmlp, dx, s.mlpIn, &s.mlp)
	l.attn.backward(p, dattn, dx, s.attnIn, &s.attn)
	l.ln2.Backward(dev, dx, dmlp, s.x, true)
	l.ln1.Backward(dev, dx, dattn, s.x, true)
}

// backwardSequential goes back through the MLP, then through attention.
func (s *saved) backwardSequential(p *nn.Pass, dx tensor.Tensor, last bool) {
	dev, l := p.Dev, s.l
	d := dev.Alloc(dx.Rows, dx.Cols)
	defer dev.Free(d)
	l.mlp.Backward(p, d, dx, s.mlpIn, &s.mlp)
	l.ln2.Backward(dev, dx, d, s.mid, true)
	if last {
		l.attn.backward(p, tensor.Tensor{}, dx, s.attnIn, &s.attn)
		return
	}
	l.attn.backward(p, d, dx, s.attnIn, &s.attn)
	l.ln1.Backward(dev, dx, d, s.x, true)
}
