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
