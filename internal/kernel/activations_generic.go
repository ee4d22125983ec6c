package kernel

import "math"

// This file has the plain loops of the kernels in _asm/activations.go. Each
// activation (geluTanhOf, …) returns its value and its derivative.

func erfGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(math.Erf(float64(v)))
	}
}

func geluTanhOf(v float32) (y, slope float32) {
	c := min(max(v, -1e6), 1e6) // s is 0 or 1 long before; squares are finite
	t := float32(math.Tanh(float64(sqrt2OverPi * (c + geluCubic*c*c*c))))
	s := 0.5 * (1 + t)
	return v * s, s + 0.5*c*(1-t*t)*sqrt2OverPi*(1+3*geluCubic*c*c)
}

func geluErfOf(v float32) (y, slope float32) {
	x := float64(v)
	phi := 0.5 * math.Erfc(-x/math.Sqrt2)
	return float32(x * phi), float32(phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
}

func siluOf(v float32) (y, slope float32) {
	e := expOf(-v)
	s := 1 / (1 + e)
	return v / (1 + e), s * (1 + v*(1-s))
}

func reluOf(v float32) (y, slope float32) {
	switch {
	case v > 0:
		return v, 1
	case v < 0:
		return 0, 0
	}
	return v, 0 // zeros and NaN
}

func geluTanhGeneric(dst, x []float32) { activateGeneric(dst, x, geluTanhOf) }

func geluTanhBackwardGeneric(dx, dy, x []float32) { activateBackwardGeneric(dx, dy, x, geluTanhOf) }

func geluTanhGateGeneric(dst, gate, up []float32) { gateGeneric(dst, gate, up, geluTanhOf) }

func geluTanhGateBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	gateBackwardGeneric(dgate, dup, dy, gate, up, geluTanhOf)
}

func geluErfGeneric(dst, x []float32) { activateGeneric(dst, x, geluErfOf) }

func geluErfBackwardGeneric(dx, dy, x []float32) { activateBackwardGeneric(dx, dy, x, geluErfOf) }

func geluErfGateGeneric(dst, gate, up []float32) { gateGeneric(dst, gate, up, geluErfOf) }

func geluErfGateBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	gateBackwardGeneric(dgate, dup, dy, gate, up, geluErfOf)
}

func siluGeneric(dst, x []float32) { activateGeneric(dst, x, siluOf) }

func siluBackwardGeneric(dx, dy, x []float32) { activateBackwardGeneric(dx, dy, x, siluOf) }

func siluGateGeneric(dst, gate, up []float32) { gateGeneric(dst, gate, up, siluOf) }

func siluGateBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	gateBackwardGeneric(dgate, dup, dy, gate, up, siluOf)
}

func reluGeneric(dst, x []float32) { activateGeneric(dst, x, reluOf) }

func reluBackwardGeneric(dx, dy, x []float32) { activateBackwardGeneric(dx, dy, x, reluOf) }

func reluGateGeneric(dst, gate, up []float32) { gateGeneric(dst, gate, up, reluOf) }

func reluGateBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	gateBackwardGeneric(dgate, dup, dy, gate, up, reluOf)
}

func activateGeneric(dst, x []float32, act func(float32) (y, slope float32)) {
	for i, v := range x {
		dst[i], _ = act(v)
	}
}

func activateBackwardGeneric(dx, dy, x []float32, act func(float32) (y, slope float32)) {
	for i, v := range x {
		_, slope := act(v)
		dx[i] = dy[i] * slope
	}
}

func gateGeneric(dst, gate, up []float32, act func(float32) (y, slope float32)) {
	for i, v := range gate {
		y, _ := act(v)
		dst[i] = y * up[i]
	}
}

func gateBackwardGeneric(dgate, dup, dy, gate, up []float32, act func(float32) (y, slope float32)) {
	for i, v := range gate {
		y, slope := act(v)
		g := dy[i]
		dgate[i] = g * up[i] * slope
		dup[i] = g * y
	}
}
