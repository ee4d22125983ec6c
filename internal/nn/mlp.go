package nn

import "barka/internal/tensor"

// GatedMLP is y = Down(act(Gate·x) ∘ Up·x).
type GatedMLP struct {
	Gate, Up, Down Linear
	Act            tensor.Activation
}

// GatedSaved is what GatedMLP.Backward needs of Forward.
type GatedSaved struct {
	gate, up, hidden tensor.Tensor // [T,F]
	ug, uu, ud       tensor.Tensor
}

func (s *GatedSaved) free(dev tensor.Device) {
	dev.Free(s.gate, s.up, s.hidden, s.ug, s.uu, s.ud)
	*s = GatedSaved{}
}

// Forward fills y [T,D] from x [T,D]; saved may be nil.
func (m *GatedMLP) Forward(p *Pass, y, x tensor.Tensor, saved *GatedSaved) {
	dev := p.Dev
	F, _ := m.Gate.Dims()
	var s GatedSaved
	s.gate, s.up = dev.Alloc(x.Rows, F), dev.Alloc(x.Rows, F)
	s.ug = m.Gate.Forward(p, s.gate, x)
	s.uu = m.Up.Forward(p, s.up, x)
	hidden := s.gate
	if saved != nil {
		s.hidden = dev.Alloc(x.Rows, F)
		hidden = s.hidden
	}
	dev.Gate(hidden, s.gate, s.up, m.Act)
	s.ud = m.Down.Forward(p, y, hidden)
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// Backward fills dx [T,D] from dy [T,D] and frees saved. x is Forward's input.
func (m *GatedMLP) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *GatedSaved) {
	dev := p.Dev
	dh := dev.Alloc(saved.hidden.Rows, saved.hidden.Cols)
	dup := dev.Alloc(saved.up.Rows, saved.up.Cols)
	defer dev.Free(dh, dup)
	m.Down.Backward(p, dh, dy, saved.hidden, saved.ud, false)
	dev.GateBackward(dh, dup, dh, saved.gate, saved.up, m.Act)
	m.Gate.Backward(p, dx, dh, x, saved.ug, false)
	m.Up.Backward(p, dx, dup, x, saved.uu, true)
	saved.free(dev)
}

// MLP is y = Out(act(In·x)), the plain two-layer form with biases.
type MLP struct {
	In, Out Linear
	Act     tensor.Activation
}

// MLPSaved is what MLP.Backward needs of Forward.
type MLPSaved struct {
	in, hidden tensor.Tensor // [T,F] before and after the activation
	ui, uo     tensor.Tensor
}

func (s *MLPSaved) free(dev tensor.Device) {
	dev.Free(s.in, s.hidden, s.ui, s.uo)
	*s = MLPSaved{}
}

// Forward fills y [T,D] from x [T,D]; saved may be nil.
func (m *MLP) Forward(p *Pass, y, x tensor.Tensor, saved *MLPSaved) {
	dev := p.Dev
	F, _ := m.In.Dims()
	s := MLPSaved{in: dev.Alloc(x.Rows, F)}
	s.ui = m.In.Forward(p, s.in, x)
	hidden := s.in
	if saved != nil {
		s.hidden = dev.Alloc(x.Rows, F)
		hidden = s.hidden
	}
	dev.Activate(hidden, s.in, m.Act)
	s.uo = m.Out.Forward(p, y, hidden)
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// Backward fills dx [T,D] from dy [T,D] (dx of none: gradients of the
// adapters only) and frees saved. x is Forward's input.
func (m *MLP) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *MLPSaved) {
	dev := p.Dev
	dh := dev.Alloc(saved.hidden.Rows, saved.hidden.Cols)
	defer dev.Free(dh)
	m.Out.Backward(p, dh, dy, saved.hidden, saved.uo, false)
	dev.ActivateBackward(dh, dh, saved.in, m.Act)
	m.In.Backward(p, dx, dh, x, saved.ui, false)
	saved.free(dev)
}

// RMSNorm is root-mean-square normalisation (Zhang & Sennrich, 2019);
// PlusOne scales by 1+w as Gemma does.
type RMSNorm struct {
	W       tensor.Tensor // [1,D]
	Eps     float32
	PlusOne bool
}

// Forward fills y from x.
func (n *RMSNorm) Forward(dev tensor.Device, y, x tensor.Tensor) {
	dev.RMSNorm(y, x, n.W, n.Eps, n.PlusOne)
}

// Backward fills dx from dy, or adds to it; x is Forward's input.
func (n *RMSNorm) Backward(dev tensor.Device, dx, dy, x tensor.Tensor, accumulate bool) {
	dev.RMSNormBackward(dx, dy, x, n.W, n.Eps, n.PlusOne, accumulate)
}

// LayerNorm is layer normalisation with weight and bias.
type LayerNorm struct {
	W, B tensor.Tensor // [1,D]
	Eps  float32
}

// Forward fills y from x.
func (n *LayerNorm) Forward(dev tensor.Device, y, x tensor.Tensor) {
	dev.LayerNorm(y, x, n.W, n.B, n.Eps)
}

// Backward fills dx from dy, or adds to it; x is Forward's input.
func (n *LayerNorm) Backward(dev tensor.Device, dx, dy, x tensor.Tensor, accumulate bool) {
	dev.LayerNormBackward(dx, dy, x, n.W, n.Eps, accumulate)
}
