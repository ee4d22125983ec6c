package kernel

import (
	"math"
	"testing"
)

func TestFinite(t *testing.T) {
	x := []float32{0, -0, 1, -math.MaxFloat32, math.SmallestNonzeroFloat32}
	if !FiniteF32(x) {
		t.Error("finite values are called infinite")
	}
	for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
		if FiniteF32(append(x, bad)) {
			t.Errorf("%g is called finite", bad)
		}
	}
	word := func(lo, hi uint16) []float32 {
		return []float32{1, math.Float32frombits(uint32(lo) | uint32(hi)<<16)}
	}
	if !FiniteBF16(word(0x7f7f, 0xff7f)) {
		t.Error("the largest bfloat16 values are called infinite")
	}
	for _, bad := range []uint16{0x7f80, 0xff80, 0x7fc0, 0xffff} {
		if FiniteBF16(word(bad, 0)) || FiniteBF16(word(0x7f7f, bad)) {
			t.Errorf("%#x is called finite", bad)
		}
	}
}

// TestFiniteAnywhere: one bad value is found wherever it stands.
func TestFiniteAnywhere(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for n := range 70 {
			x := random(newRand(1), n)
			RoundBF16(x) // finite in both halves
			if !FiniteF32(x) || !FiniteBF16(x) {
				t.Fatalf("%d finite values are called infinite", n)
			}
			for i := range x {
				good := x[i]
				x[i] = math.Float32frombits(0x7f800000)
				if FiniteF32(x) {
					t.Fatalf("an infinity at %d of %d went unseen", i, n)
				}
				x[i] = math.Float32frombits(0x3f80ff80)
				if FiniteBF16(x) {
					t.Fatalf("an infinity in the low half at %d of %d went unseen", i, n)
				}
				x[i] = good
			}
		}
	})
}
