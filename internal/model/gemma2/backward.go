package gemma2

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// tape is one saved forward pass.
type tape struct {
	m      *Model
	p      *nn.Pass
	layers []saved
	last   tensor.Tensor // the residual stream before the final norm
}

// saved holds one layer's activations, all [T,D] but those inside.
type saved struct {
	x, attnIn, attnOut tensor.Tensor // residual in; normed; before the post norm
	mid, mlpIn, mlpOut tensor.Tensor // residual between the halves; likewise
	attn               nn.AttentionSaved
	mlp                nn.GatedSaved
}

// forwardSave is forward that keeps everything Backward needs. It takes over
// x and returns the new residual stream.
func (l *layer) forwardSave(p *nn.Pass, x tensor.Tensor, s *saved) tensor.Tensor {
	dev := p.Dev
	alloc := func() tensor.Tensor { return dev.Alloc(x.Rows, x.Cols) }
	s.x, s.attnIn, s.attnOut, s.mid, s.mlpIn, s.mlpOut = x, alloc(), alloc(), alloc(), alloc(), alloc()
	l.preAttn.Forward(dev, s.attnIn, x)
	l.attn.Forward(p, s.attnOut, s.attnIn, nil, &s.attn)
	l.postAttn.Forward(dev, s.mid, s.attnOut)
	dev.Add(s.mid, x)
	l.preMLP.Forward(dev, s.mlpIn, s.mid)
	l.mlp.Forward(p, s.mlpOut, s.mlpIn, &s.mlp)
	out := alloc()
	l.postMLP.Forward(dev, out, s.mlpOut)
	dev.Add(out, s.mid)
	return out
}

// backward turns dx, the gradient of the layer's output, into that of its
// input, in place, and frees what was saved. With last the gradient of the
// input is not wanted: nothing below the layer trains.
func (l *layer) backward(p *nn.Pass, dx tensor.Tensor, s *saved, last bool) {
	dev := p.Dev
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

// Backward implements model.Tape.
func (t *tape) Backward(dh tensor.Tensor) {
	dev := t.p.Dev
	t.m.norm.Backward(dev, dh, dh, t.last, false)
	for i := len(t.layers) - 1; i >= 0; i-- {
		t.m.layers[i].backward(t.p, dh, &t.layers[i], i == 0)
	}
	dev.Free(t.last)
}
