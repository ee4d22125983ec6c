package nn

import "barka/internal/tensor"

// inputSaved is a saved forward pass of a block that keeps the block's input alone
// (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
type inputSaved struct {
	b Block
	x tensor.Tensor // [T,D]
}

// ForwardInput updates the residual stream x [T,D] in place, as b.Forward does. The result
// keeps a copy of x. Its Backward runs the block again, with ForwardSave: the gradients have
// the bits that they have with saved activations, because both passes compute the same
// sums in the same order, and dropout is drawn from a counter.
func ForwardInput(p *Pass, b Block, x tensor.Tensor) BlockSaved {
	s := &inputSaved{b: b, x: p.Dev.Alloc(x.Rows, x.Cols)}
	p.Dev.Copy(s.x, x)
	pass := *p
	pass.Save = false
	b.Forward(&pass, x, nil)
	return s
}

// Backward implements BlockSaved.
func (s *inputSaved) Backward(p *Pass, dx tensor.Tensor, last bool) {
	pass := *p
	pass.Rerun = true
	_, saved := s.b.ForwardSave(&pass, s.x)
	saved.Backward(p, dx, last)
	*s = inputSaved{}
}
