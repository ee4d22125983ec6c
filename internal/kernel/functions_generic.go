package kernel

import "math"

func expGeneric(dst, x []float32) {
	for i, v := range x {
		y := float32(math.Exp(float64(v)))
		if y < 0x1p-126 {
			y = 0
		}
		dst[i] = y
	}
}

func tanhGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(math.Tanh(float64(v)))
	}
}

func geluGateGeneric(dst, gate, up []float32) {
	for i, v := range gate {
		t := float32(math.Tanh(float64(sqrt2OverPi * (v + geluCubic*v*v*v))))
		dst[i] = 0.5 * v * (1 + t) * up[i]
	}
}

func geluGateBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	for i, v := range gate {
		t := float32(math.Tanh(float64(sqrt2OverPi * (v + geluCubic*v*v*v))))
		s := 0.5 * (1 + t)
		d := s + 0.5*v*(1-t*t)*sqrt2OverPi*(1+3*geluCubic*v*v)
		g := dy[i]
		dgate[i] = g * up[i] * d
		dup[i] = g * v * s
	}
}
