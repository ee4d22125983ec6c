package kernel

import "math"

func expGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = expOf(v)
	}
}

// expOf returns eᵛ, or 0 where that is below the normal numbers.
func expOf(v float32) float32 {
	y := float32(math.Exp(float64(v)))
	if y < 0x1p-126 {
		y = 0
	}
	return y
}

func tanhGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = float32(math.Tanh(float64(v)))
	}
}
