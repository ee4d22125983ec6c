package lora

import (
	"math"

	"barka/internal/tensor"
)

// Initialisations of a new pair, the values of init_lora_weights. PEFT's default, true, is a
// uniform A in ±1/√K and a B of zeros.
const (
	Gaussian = "gaussian" // A normal with a standard deviation of 1/r, B zero
)

// Random is the source of the values of new pairs.
type Random interface {
	Float64() float64
	NormFloat64() float64
}

// NewPair makes an adapter whose B is zero, so that it changes nothing at first. A is drawn
// from random as init says.
func NewPair(dev tensor.Device, module string, n, k, rank int, scale float32, init any, random Random) *Pair {
	p := &Pair{Module: module, Scale: scale, A: dev.Alloc(rank, k), B: dev.Alloc(n, rank)}
	draw := func() float64 { return (2*random.Float64() - 1) / math.Sqrt(float64(k)) }
	if init == Gaussian {
		draw = func() float64 { return random.NormFloat64() / float64(rank) }
	}
	values := make([]float32, rank*k)
	for i := range values {
		values[i] = float32(draw())
	}
	dev.Upload(p.A, values)
	dev.Zero(p.B)
	return p
}
