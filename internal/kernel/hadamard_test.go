package kernel

import (
	"math"
	"math/bits"
	"testing"

	"barka/internal/cpu"
)

// hadamardOf is the definition of Hadamard, in float64.
func hadamardOf(x []float32) []float64 {
	y := make([]float64, len(x))
	for at, b := 0, hadamardLength; at < len(x); at += b {
		for b > len(x)-at {
			b /= 2
		}
		for i := range b {
			for j := range b {
				y[at+i] += float64(x[at+j]) * float64(1-2*(bits.OnesCount(uint(i&j))%2))
			}
			y[at+i] /= math.Sqrt(float64(b))
		}
	}
	return y
}

// TestHadamard: every level gives the definition's values, and the bits of the others.
func TestHadamard(t *testing.T) {
	rng := newRand(7)
	for _, n := range []int{0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 48, 64, 100, 255, 256, 511, 512, 576, 640, 1000, 1025, 2304} {
		x := random(rng, n)
		var first []float32
		for _, l := range cpu.Levels() {
			restore := cpu.Use(l)
			y, check := guarded(t, n, n%3)
			copy(y, x)
			Hadamard(y)
			check()
			restore()
			if first == nil {
				first = y
				want := hadamardOf(x)
				for i := range y {
					if !near(y[i], want[i], 4, 1e-6) {
						t.Fatalf("length %d: value %d is %g, want %g", n, i, y[i], want[i])
					}
				}
			}
			for i := range y {
				if math.Float32bits(y[i]) != math.Float32bits(first[i]) {
					t.Fatalf("%s, length %d: value %d is %g, elsewhere %g", l, n, i, y[i], first[i])
				}
			}
		}
	}
}

// TestHadamardTwice: the matrix is its own inverse.
func TestHadamardTwice(t *testing.T) {
	x := random(newRand(8), 1900)
	y := append([]float32(nil), x...)
	Hadamard(y)
	Hadamard(y)
	for i := range x {
		if !near(y[i], float64(x[i]), 4, 1e-6) {
			t.Fatalf("value %d is %g, want %g", i, y[i], x[i])
		}
	}
}

func BenchmarkHadamard(b *testing.B) {
	x := random(newRand(9), 2304)
	for b.Loop() {
		Hadamard(x)
	}
	b.SetBytes(4 * 2304)
}
