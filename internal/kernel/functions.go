package kernel

import "math"

// Exp: dst[i] = e^x[i], within 2 units in the last place; results below
// 2⁻¹²⁶ are 0, NaN stays NaN. dst may be x.
func Exp(dst, x []float32) { blocks(dst, x, expBlocks) }

// Tanh: dst[i] = tanh x[i], within 2 units in the last place. dst may be x.
func Tanh(dst, x []float32) { blocks(dst, x, tanhBlocks) }

// blocks runs f on blocks of 16 values, the last one through a buffer, so
// that a value's result does not depend on where it stands.
func blocks(dst, x []float32, f func(dst, x []float32)) {
	if len(dst) < len(x) {
		panic("kernel: function of unequal lengths")
	}
	n := len(x) &^ 15
	if n > 0 {
		f(dst[:n], x[:n])
	}
	if n < len(x) {
		var buf [16]float32
		copy(buf[:], x[n:])
		f(buf[:], buf[:])
		copy(dst[n:len(x)], buf[:])
	}
}

// Softcap: x[i] = c·tanh(x[i]/c), in place.
func Softcap(x []float32, c float32) {
	for i := range x {
		x[i] /= c
	}
	Tanh(x, x)
	for i := range x {
		x[i] *= c
	}
}

// Activation names an activation function; the values are those of package
// tensor.
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

// Activate: dst[i] = act(x[i]). dst may be x.
func Activate(act Activation, dst, x []float32) {
	if len(dst) < len(x) {
		panic("kernel: activation of unequal lengths")
	}
	switch act {
	case GELUTanh:
		var inner [64]float32
		chunks(len(x), func(lo, hi int) {
			t := inner[:hi-lo]
			geluInner(t, x[lo:hi])
			for i, v := range x[lo:hi] {
				dst[lo+i] = 0.5 * v * (1 + t[i])
			}
		})
	case GELUErf:
		for i, v := range x {
			dst[i] = float32(0.5 * float64(v) * (1 + math.Erf(float64(v)/math.Sqrt2)))
		}
	case SiLU:
		var e [64]float32
		chunks(len(x), func(lo, hi int) {
			t := e[:hi-lo]
			for i, v := range x[lo:hi] {
				t[i] = -v
			}
			Exp(t, t)
			for i, v := range x[lo:hi] {
				dst[lo+i] = v / (1 + t[i])
			}
		})
	case ReLU:
		for i, v := range x {
			if v < 0 {
				v = 0
			}
			dst[i] = v
		}
	default:
		panic("kernel: unknown activation")
	}
}

// geluInner: t = tanh(√(2/π)(v+0.044715v³)).
func geluInner(t, x []float32) {
	for i, v := range x {
		t[i] = sqrt2OverPi * (v + geluCubic*v*v*v)
	}
	Tanh(t, t)
}

// chunks covers [0,n) in pieces of at most 64.
func chunks(n int, f func(lo, hi int)) {
	for lo := 0; lo < n; lo += 64 {
		f(lo, min(lo+64, n))
	}
}

// ActivateBackward: dx[i] = dy[i]·act'(x[i]). dx may be dy.
func ActivateBackward(act Activation, dx, dy, x []float32) {
	var d [64]float32
	chunks(len(x), func(lo, hi int) {
		derivative(act, d[:hi-lo], x[lo:hi])
		for i, g := range d[:hi-lo] {
			dx[lo+i] = dy[lo+i] * g
		}
	})
}

// derivative: d[i] = act'(x[i]); at most 64 values.
func derivative(act Activation, d, x []float32) {
	switch act {
	case GELUTanh:
		geluInner(d, x)
		for i, v := range x {
			t := d[i]
			d[i] = 0.5*(1+t) + 0.5*v*(1-t*t)*sqrt2OverPi*(1+3*geluCubic*v*v)
		}
	case GELUErf:
		for i, v := range x {
			f := float64(v)
			d[i] = float32(0.5*(1+math.Erf(f/math.Sqrt2)) + f*math.Exp(-f*f/2)/math.Sqrt(2*math.Pi))
		}
	case SiLU:
		for i, v := range x {
			d[i] = -v
		}
		Exp(d, d)
		for i, v := range x {
			s := 1 / (1 + d[i])
			d[i] = s * (1 + v*(1-s))
		}
	case ReLU:
		for i, v := range x {
			d[i] = 0
			if v > 0 {
				d[i] = 1
			}
		}
	default:
		panic("kernel: unknown activation")
	}
}

// Gate: dst[i] = act(gate[i])·up[i]. dst may be gate.
func Gate(act Activation, dst, gate, up []float32) {
	if len(dst) < len(gate) || len(up) < len(gate) {
		panic("kernel: gate of unequal lengths")
	}
	if act == GELUTanh {
		gateBlocks(dst, gate, up)
		return
	}
	var a [64]float32
	chunks(len(gate), func(lo, hi int) {
		Activate(act, a[:hi-lo], gate[lo:hi])
		for i, v := range a[:hi-lo] {
			dst[lo+i] = v * up[lo+i]
		}
	})
}

// gateBlocks runs the tanh-GELU gate on blocks of 16, the last one padded.
func gateBlocks(dst, gate, up []float32) {
	n := len(gate) &^ 15
	if n > 0 {
		geluGateBlocks(dst[:n], gate[:n], up[:n])
	}
	if n < len(gate) {
		var g, u [16]float32
		copy(g[:], gate[n:])
		copy(u[:], up[n:len(gate)])
		geluGateBlocks(g[:], g[:], u[:])
		copy(dst[n:len(gate)], g[:])
	}
}

// GateBackward: dgate = dy·up·act'(gate), dup = dy·act(gate). dgate may be
// dy.
func GateBackward(act Activation, dgate, dup, dy, gate, up []float32) {
	n := len(gate)
	if len(dgate) < n || len(dup) < n || len(dy) < n || len(up) < n {
		panic("kernel: gate of unequal lengths")
	}
	if act == GELUTanh {
		m := n &^ 15
		if m > 0 {
			geluGateBackwardBlocks(dgate[:m], dup[:m], dy[:m], gate[:m], up[:m])
		}
		if m < n {
			var b [5][16]float32
			copy(b[2][:], dy[m:n])
			copy(b[3][:], gate[m:n])
			copy(b[4][:], up[m:n])
			geluGateBackwardBlocks(b[0][:], b[1][:], b[2][:], b[3][:], b[4][:])
			copy(dgate[m:n], b[0][:])
			copy(dup[m:n], b[1][:])
		}
		return
	}
	var a, d [64]float32
	chunks(n, func(lo, hi int) {
		Activate(act, a[:hi-lo], gate[lo:hi])
		derivative(act, d[:hi-lo], gate[lo:hi])
		for i := lo; i < hi; i++ {
			g := dy[i]
			dgate[i] = g * up[i] * d[i-lo]
			dup[i] = g * a[i-lo]
		}
	})
}
