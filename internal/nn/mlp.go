package nn

import (
	"barka/internal/lora"
	"barka/internal/tensor"
)

// GatedMLP is y = Down(act(Gate·x) ∘ Up·x), after Shazeer, "GLU Variants Improve
// Transformer", 2020.
type GatedMLP struct {
	Gate, Up, Down Linear // [F,D], [F,D], [D,F]
	Act            tensor.Activation
}

// GatedSaved is what GatedMLP.Forward saves for Backward.
type GatedSaved struct {
	gate, up, hidden tensor.Tensor // [T,F] hidden is act(gate)∘up
	ug, uu, ud       lora.Saved    // of the adapters
}

func (s *GatedSaved) free(dev tensor.Device) {
	dev.Free(s.gate, s.up, s.hidden)
	for _, u := range [...]lora.Saved{s.ug, s.uu, s.ud} {
		u.Free(dev)
	}
	*s = GatedSaved{}
}

// Forward fills y [T,D] from x [T,D]; saved may be nil. If y is none, only what saved holds is computed.
func (m *GatedMLP) Forward(p *Pass, y, x tensor.Tensor, saved *GatedSaved) {
	dev := p.Dev
	F, _ := m.Gate.Dims()
	var s GatedSaved
	s.gate, s.up = m.Gate.Operand(dev, x.Rows, F), m.Up.Operand(dev, x.Rows, F)
	u := together(p, x, [3]*Linear{&m.Gate, &m.Up}, [3]tensor.Tensor{s.gate, s.up}) // gate, up [T,F]
	s.ug, s.uu = u[0], u[1]
	hidden := s.gate // hidden [T,F], in the memory of gate if nothing is saved
	if saved != nil {
		s.hidden = like(dev, s.gate)
		hidden = s.hidden
	}
	dev.Gate(hidden, s.gate, s.up, m.Act)
	s.ud = m.Down.Forward(p, y, hidden) // y [T,D]
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// Backward fills dx [T,D] from dy [T,D] and frees saved. x is Forward's input.
func (m *GatedMLP) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *GatedSaved) {
	dev := p.Dev
	dh, dup := like(dev, saved.hidden), like(dev, saved.up) // dh [T,F], of hidden, then of gate; dup [T,F]
	defer dev.Free(dh, dup)
	m.Down.Backward(p, dh, dy, saved.hidden, saved.ud, false)
	dev.GateBackward(dh, dup, dh, saved.gate, saved.up, m.Act)
	m.Gate.Backward(p, dx, dh, x, saved.ug, false)
	m.Up.Backward(p, dx, dup, x, saved.uu, true)
	saved.free(dev)
}

// like allocates a tensor of the shape and the type of t.
func like(dev tensor.Device, t tensor.Tensor) tensor.Tensor {
	return dev.AllocAs(t.Rows, t.Cols, t.Type)
}

// MLP is y = Out(act(In·x)), the plain two-layer form with biases.
type MLP struct {
	In, Out Linear // [F,D], [D,F]
	Act     tensor.Activation
}

// MLPSaved is what MLP.Forward saves for Backward.
type MLPSaved struct {
	in, hidden tensor.Tensor // [T,F] before and after the activation
	ui, uo     lora.Saved    // of the adapters
}

func (s *MLPSaved) free(dev tensor.Device) {
	dev.Free(s.in, s.hidden)
	s.ui.Free(dev)
	s.uo.Free(dev)
	*s = MLPSaved{}
}

// Forward fills y [T,D] from x [T,D]; saved may be nil. If y is none, only what saved holds is computed.
func (m *MLP) Forward(p *Pass, y, x tensor.Tensor, saved *MLPSaved) {
	dev := p.Dev
	F, _ := m.In.Dims()
	s := MLPSaved{in: m.In.Operand(dev, x.Rows, F)}
	s.ui = m.In.Forward(p, s.in, x) // in [T,F]
	hidden := s.in                  // hidden [T,F], in the memory of in if nothing is saved
	if saved != nil {
		s.hidden = like(dev, s.in)
		hidden = s.hidden
	}
	dev.Activate(hidden, s.in, m.Act)
	s.uo = m.Out.Forward(p, y, hidden) // y [T,D]
	if saved != nil {
		*saved = s
		return
	}
	s.free(dev)
}

// Backward fills dx [T,D] from dy [T,D] and frees saved. If dx is none, only the adapters'
// gradients are computed. x [T,D] is Forward's input.
func (m *MLP) Backward(p *Pass, dx, dy, x tensor.Tensor, saved *MLPSaved) {
	dev := p.Dev
	dh := like(dev, saved.hidden) // dh [T,F], of hidden, then of in
	defer dev.Free(dh)
	m.Out.Backward(p, dh, dy, saved.hidden, saved.uo, false)
	dev.ActivateBackward(dh, dh, saved.in, m.Act)
	m.In.Backward(p, dx, dh, x, saved.ui, false)
	saved.free(dev)
}

// RMSNorm is root-mean-square normalisation (Zhang and Sennrich, 2019). With PlusOne it
// scales by 1+w, as Gemma does.
type RMSNorm struct {
	W       tensor.Tensor // [1,D]
	Eps     float32
	PlusOne bool
}

// device returns the norm as a device takes it.
func (n *RMSNorm) device() tensor.RMSNorm { return tensor.RMSNorm(*n) }

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
