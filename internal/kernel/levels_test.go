package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"barka/internal/cpu"
)

// eachLevel runs a test at every level the machine has. On a machine with
// bfloat16 products that level must be among them.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, l := range cpu.Levels() {
		t.Run(l.String(), func(t *testing.T) {
			defer cpu.Use(l)()
			test(t)
		})
	}
	f := cpu.Features()
	if f["avx512_bf16"] && f["avx512_vnni"] && cpu.Best() != cpu.AVX512BF16 {
		t.Error("this machine has AVX512_BF16 but its kernels did not run")
	}
}

const guard = float32(-12345.5)

// guarded returns n values between guard words and a check that the guards
// still stand. off shifts the slice away from any alignment.
func guarded(t *testing.T, n, off int) ([]float32, func()) {
	t.Helper()
	all := make([]float32, n+off+16)
	for i := range all {
		all[i] = guard
	}
	s := all[8+off : 8+off+n : 8+off+n]
	return s, func() {
		t.Helper()
		for i, v := range all {
			if (i < 8+off || i >= 8+off+n) && v != guard {
				t.Fatalf("length %d: wrote outside, at %d", n, i-8-off)
			}
		}
	}
}

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// near reports whether got is within tol of want, relative to scale.
func near(got float32, want, scale, tol float64) bool {
	if math.IsNaN(want) {
		return got != got
	}
	return math.Abs(float64(got)-want) <= tol*max(scale, 1e-30) || float64(got) == want
}
