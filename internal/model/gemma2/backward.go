package gemma2

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// saved holds one layer's activations, all [T,D] but those inside.
type saved struct {
	l                  *layer
	x, attnIn, attnOut tensor.Tensor // residual in; normed; before the post norm
	mid, mlpIn, mlpOut tensor.Tensor // residual between the halves; likewise
	attn               nn.AttentionSaved
	mlp                nn.GatedSaved
}

// ForwardSave implements nn.Block.
func (l *layer) ForwardSave(p *nn.Pass, x tensor.Tensor) (tensor.Tensor, nn.BlockSaved) {
	dev := p.Dev
	alloc := func() tensor.Tensor { return dev.Alloc(x.Rows, x.Cols) }
	s := &saved{l: l, x: x, attnIn: alloc(), attnOut: alloc(), mid: alloc(), mlpIn: alloc(), mlpOut: alloc()}
	l.preAttn.Forward(dev, s.attnIn, x)
	l.attn.Forward(p, s.attnOut, s.attnIn, nil, &s.attn)
	l.postAttn.Forward(dev, s.mid, s.attnOut)
	dev.Add(s.mid, x)
	l.preMLP.Forward(dev, s.mlpIn, s.mid)
	l.mlp.Forward(p, s.mlpOut, s.mlpIn, &s.mlp)
	out := alloc()
	l.postMLP.Forward(dev, out, s.mlpOut)
	dev.Add(out, s.mid)
	return out, s
}

// Backward implements nn.BlockSaved.
func (s *saved) Backward(p *nn.Pass, dx tensor.Tensor, last bool) {
	dev, l := p.Dev, s.l
	d, in := dev.Alloc(dx.Rows, dx.Cols), dev.Alloc(dx.Rows, dx.Cols)
	l.postMLP.Backward(dev, d, dx, s.mlpOut, false)
	l.mlp.Backward(p, in, d, s.mlpIn, &s.mlp)
	l.preMLP.Backward(dev, dx, in, s.mid, true)

	l.postAttn.Backward(dev, d, dx, s.attnOut, false)
	if last {
		l.attn.Backward(p, tensor.Tensor{}, d, s.attnIn, &s.attn)
	} else {
		l.attn.Backward(p, in, d, s.attnIn, &s.attn)
		l.preAttn.Backward(dev, dx, in, s.x, true)
	}
	dev.Free(d, in, s.x, s.attnIn, s.attnOut, s.mid, s.mlpIn, s.mlpOut)
	*s = saved{}
}
