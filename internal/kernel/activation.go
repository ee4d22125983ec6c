package kernel

// Activation names an activation function. The values are those of package tensor.
type Activation int

const (
	GELUTanh Activation = iota
	GELUErf
	SiLU
	ReLU
)

const (
	sqrt2OverPi = 0.7978845608028654
	geluCubic   = 0.044715
)

// Activate sets dst[i] = act(x[i]). dst may be x. The functions and derivatives in
// this file have an error of at most 5·10⁻⁷·max(1, |x|).
func Activate(act Activation, dst, x []float32) { apply(act.function(), dst, x) }

func (a Activation) function() function {
	if a < GELUTanh || a > ReLU {
		panic("kernel: unknown activation")
	}
	return geluTanh + function(a)
}

// ActivateBackward sets dx[i] = dy[i]·act'(x[i]). dx may be dy.
func ActivateBackward(act Activation, dx, dy, x []float32) { act.apply2(true, dx, dy, x) }

// Gate sets dst[i] = act(gate[i])·up[i]. dst may be gate.
func Gate(act Activation, dst, gate, up []float32) { act.apply2(false, dst, gate, up) }

// apply2 is apply for functions of two values: the derivative with backward, the
// gate otherwise.
func (a Activation) apply2(backward bool, dst, x, y []float32) {
	if len(dst) < len(x) || len(y) < len(x) {
		panic("kernel: activation of slices of different lengths")
	}
	n := len(x) &^ 15
	if n > 0 {
		a.apply2Blocks(backward, dst[:n], x[:n], y[:n])
	}
	if n < len(x) {
		var b, c [16]float32
		copy(b[:], x[n:])
		copy(c[:], y[n:len(x)])
		a.apply2Blocks(backward, b[:], b[:], c[:])
		copy(dst[n:len(x)], b[:])
	}
}

func (a Activation) apply2Blocks(backward bool, dst, x, y []float32) {
	switch f := a.function(); {
	case f == geluTanh && backward:
		geluTanhBackwardBlocks(dst, x, y)
	case f == geluErf && backward:
		geluErfBackwardBlocks(dst, x, y)
	case f == silu && backward:
		siluBackwardBlocks(dst, x, y)
	case backward:
		reluBackwardBlocks(dst, x, y)
	case f == geluTanh:
		geluTanhGateBlocks(dst, x, y)
	case f == geluErf:
		geluErfGateBlocks(dst, x, y)
	case f == silu:
		siluGateBlocks(dst, x, y)
	default:
		reluGateBlocks(dst, x, y)
	}
}

// GateBackward sets dgate = dy·up·act'(gate) and dup = dy·act(gate). dgate may be
// dy.
func GateBackward(act Activation, dgate, dup, dy, gate, up []float32) {
	n := len(gate)
	if len(dgate) < n || len(dup) < n || len(dy) < n || len(up) < n {
		panic("kernel: gate of slices of different lengths")
	}
	m := n &^ 15
	if m > 0 {
		gateBackwardBlocks(act, dgate[:m], dup[:m], dy[:m], gate[:m], up[:m])
	}
	if m < n {
		var b [5][16]float32
		copy(b[2][:], dy[m:n])
		copy(b[3][:], gate[m:n])
		copy(b[4][:], up[m:n])
		gateBackwardBlocks(act, b[0][:], b[1][:], b[2][:], b[3][:], b[4][:])
		copy(dgate[m:n], b[0][:])
		copy(dup[m:n], b[1][:])
	}
}

func gateBackwardBlocks(act Activation, dgate, dup, dy, gate, up []float32) {
	switch act {
	case GELUTanh:
		geluTanhGateBackwardBlocks(dgate, dup, dy, gate, up)
	case GELUErf:
		geluErfGateBackwardBlocks(dgate, dup, dy, gate, up)
	case SiLU:
		siluGateBackwardBlocks(dgate, dup, dy, gate, up)
	case ReLU:
		reluGateBackwardBlocks(dgate, dup, dy, gate, up)
	default:
		panic("kernel: unknown activation")
	}
}
