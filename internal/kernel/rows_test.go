package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"barka/internal/cpu"
)

// pass is one of the passes over rows. It takes its operands as vectors and three scalars,
// changes some of the vectors and may return a sum.
type pass struct {
	name string
	run  func(v [][]float32, s [3]float32) float64
}

// passes lists every pass with what it does to its operands.
var passes = []pass{
	{"Scale", func(v [][]float32, s [3]float32) float64 { Scale(v[0], s[0], v[1]); return 0 }},
	{"Add", func(v [][]float32, s [3]float32) float64 { Add(v[0], v[1]); return 0 }},
	{"Softcap", func(v [][]float32, s [3]float32) float64 { Softcap(v[0], 1+s[0]*s[0]); return 0 }},
	{"Sum", func(v [][]float32, s [3]float32) float64 { return Sum(v[0]) }},
	{"SumSquares", func(v [][]float32, s [3]float32) float64 { return SumSquares(v[0]) }},
	{"Max", func(v [][]float32, s [3]float32) float64 { return float64(Max(v[0])) }},
	{"ExpSum", func(v [][]float32, s [3]float32) float64 { return ExpSum(v[0], s[0]) }},
	{"SoftmaxExp", func(v [][]float32, s [3]float32) float64 { return SoftmaxExp(v[0], s[0]) }},
	{"LossGradient", func(v [][]float32, s [3]float32) float64 { LossGradient(v[0], s[0], s[1], 0); return 0 }},
	{"LossGradient capped", func(v [][]float32, s [3]float32) float64 { LossGradient(v[0], s[0], s[1], 3); return 0 }},
	{"SoftmaxBackward", func(v [][]float32, s [3]float32) float64 { SoftmaxBackward(v[0], v[1], s[0], s[1], 0); return 0 }},
	{"SoftmaxBackward capped", func(v [][]float32, s [3]float32) float64 { SoftmaxBackward(v[0], v[1], s[0], s[1], 3); return 0 }},
	{"RMSNorm", func(v [][]float32, s [3]float32) float64 { RMSNorm(v[0], v[1], v[2], 1e-6, false); return 0 }},
	{"RMSNorm in place, 1+w", func(v [][]float32, s [3]float32) float64 { RMSNorm(v[0], v[0], v[2], 1e-6, true); return 0 }},
	{"RMSNormBackward", func(v [][]float32, s [3]float32) float64 {
		RMSNormBackward(v[0], v[1], v[2], v[3], 1e-3, true, false)
		return 0
	}},
	{"RMSNormBackward added", func(v [][]float32, s [3]float32) float64 {
		RMSNormBackward(v[0], v[1], v[2], v[3], 1e-3, false, true)
		return 0
	}},
	{"LayerNorm", func(v [][]float32, s [3]float32) float64 { LayerNorm(v[0], v[1], v[2], v[3], 1e-3); return 0 }},
	{"LayerNormBackward", func(v [][]float32, s [3]float32) float64 {
		LayerNormBackward(v[0], v[1], v[2], v[3], 1e-2, false)
		return 0
	}},
	{"LayerNormBackward added", func(v [][]float32, s [3]float32) float64 {
		LayerNormBackward(v[0], v[1], v[2], v[3], 1e-2, true)
		return 0
	}},
	{"Rotate", func(v [][]float32, s [3]float32) float64 {
		half := len(v[0]) / 2
		Rotate(v[0], 1, len(v[0]), v[1][:half], v[2][:half], s[0] > 0)
		return 0
	}},
	{"AdamW", func(v [][]float32, s [3]float32) float64 {
		for i, x := range v[3] { // second moments are not negative
			v[3][i] = x * x
		}
		AdamW(v[0], v[1], v[2], v[3], 0.01, 0.9, 0.999, 1e-8, 0.1, 0.3, 0.05)
		return 0
	}},
}

// same compares a result with the plain loops'. What two levels may differ by
// is rounding, relative to the size of the operands.
func same(got, want, scale float64) bool {
	if want != want || got != got {
		return want != want && got != got
	}
	return got == want || math.Abs(got-want) <= 4e-6*(1+scale+math.Abs(want))
}

// checkPass runs a pass at the level in use and at the plain one on the same
// operands, between guard words and off any alignment.
func checkPass(t *testing.T, p pass, operands [][]float32, scalars [3]float32) {
	t.Helper()
	var want [][]float32
	for _, o := range operands {
		want = append(want, slices.Clone(o))
	}
	restore := cpu.Use(cpu.Generic)
	wantSum := p.run(want, scalars)
	restore()
	var got [][]float32
	var checks []func()
	for i, o := range operands {
		s, check := guarded(t, len(o), 1+i%3)
		copy(s, o)
		got, checks = append(got, s), append(checks, check)
	}
	sum := p.run(got, scalars)
	for _, check := range checks {
		check()
	}
	if len(operands[0]) == 0 && wantSum == sum {
		return
	}
	scale := math.Abs(wantSum)
	for _, o := range operands {
		for _, v := range o {
			scale = max(scale, math.Abs(float64(v)))
		}
	}
	if !same(sum, wantSum, scale) {
		t.Fatalf("%s, length %d: %g, plain loops %g", p.name, len(operands[0]), sum, wantSum)
	}
	for i := range want {
		for j := range want[i] {
			if !same(float64(got[i][j]), float64(want[i][j]), scale) {
				t.Fatalf("%s, length %d: operand %d[%d] is %g, plain loops %g", p.name, len(operands[0]), i, j, got[i][j], want[i][j])
			}
		}
	}
}

func TestPasses(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(21)
		for _, p := range passes {
			for n := 1; n <= 70; n++ {
				if p.name == "Rotate" {
					n += n % 2
				}
				checkPass(t, p, [][]float32{random(rng, n), random(rng, n), random(rng, n), random(rng, n)},
					[3]float32{float32(rng.NormFloat64()), float32(rng.NormFloat64()), 0})
			}
		}
	})
}

// TestPassesOfNothing: no values are no reason to fail.
func TestPassesOfNothing(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, p := range passes {
			p.run([][]float32{{}, {}, {}, {}}, [3]float32{})
		}
		if !math.IsInf(float64(Max(nil)), -1) || !math.IsInf(LogSumExp(nil), -1) {
			t.Error("the maximum and the log-sum-exp of nothing are not -Inf")
		}
	})
}

// TestSpecialValues: NaN and infinities at every place of a block reach what
// depends on them.
func TestSpecialValues(t *testing.T) {
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{5, 16, 33} {
			for i := range n {
				x := make([]float32, n)
				x[i] = nan
				if !math.IsNaN(ExpSum(x, 0)) || !math.IsNaN(LogSumExp(x)) || !math.IsNaN(Sum(x)) {
					t.Fatalf("length %d: a NaN at %d is lost in a sum", n, i)
				}
				if Max(x) != 0 {
					t.Fatalf("length %d: the maximum beside a NaN at %d is %g", n, i, Max(x))
				}
				x[i] = inf
				if Max(x) != inf || !math.IsInf(ExpSum(x, 0), 1) {
					t.Fatalf("length %d: +Inf at %d: maximum %g, sum %g", n, i, Max(x), ExpSum(x, 0))
				}
				x[i] = -inf
				if got := ExpSum(x, 0); got != float64(n-1) {
					t.Fatalf("length %d: -Inf at %d counts in the sum %g", n, i, got)
				}
				// What is not asked to be kept may be anything.
				dx, ones := make([]float32, n), make([]float32, n)
				for j := range dx {
					dx[j], ones[j] = nan, float32(j)
				}
				RMSNormBackward(dx, ones, ones, ones, 1e-5, false, false)
				if dx[i] != dx[i] {
					t.Fatalf("length %d: old contents at %d reach the gradient", n, i)
				}
			}
		}
	})
}

// TestFunctionsDensely walks the float32 numbers of the interesting range in
// small steps and holds every function to the bound that its comment states.
func TestFunctionsDensely(t *testing.T) {
	var xs []float32
	for x := float32(-105); x < 105; x = math.Nextafter32(x, 200) + 0.00097 {
		xs = append(xs, x)
	}
	for e := -40; e < 4; e++ {
		for m := range 64 {
			v := float32(math.Ldexp(1+float64(m)/64, e))
			xs = append(xs, v, -v)
		}
	}
	ones := make([]float32, len(xs))
	for i := range ones {
		ones[i] = 1
	}
	slope := func(act Activation) func(dst, x []float32) {
		return func(dst, x []float32) { ActivateBackward(act, dst, ones, x) }
	}
	value := func(act Activation) func(dst, x []float32) {
		return func(dst, x []float32) { Activate(act, dst, x) }
	}
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			name     string
			f        func(dst, x []float32)
			want     func(float64) float64
			ulp, abs float64 // the larger allowance counts; abs is times max(1, |x|)
		}{
			{"exp", Exp, math.Exp, 2, 0},
			{"tanh", Tanh, math.Tanh, 5, 0},
			{"erf", Erf, math.Erf, 0, 4e-7},
			{"GELU (tanh)", value(GELUTanh), func(v float64) float64 { return activation64(GELUTanh, v) }, 0, 5e-7},
			{"GELU (erf)", value(GELUErf), func(v float64) float64 { return 0.5 * v * math.Erfc(-v/math.Sqrt2) }, 0, 5e-7},
			{"SiLU", value(SiLU), func(v float64) float64 { return activation64(SiLU, v) }, 0, 5e-7},
			{"GELU' (tanh)", slope(GELUTanh), func(v float64) float64 {
				u := math.Sqrt(2/math.Pi) * (v + 0.044715*v*v*v)
				c := 1 / math.Cosh(u)
				d := 0.5 * (1 + math.Tanh(u))
				if c > 0 {
					d += 0.5 * v * c * c * math.Sqrt(2/math.Pi) * (1 + 3*0.044715*v*v)
				}
				return d
			}, 0, 5e-7},
			{"GELU' (erf)", slope(GELUErf), func(v float64) float64 {
				return 0.5*math.Erfc(-v/math.Sqrt2) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
			}, 0, 5e-7},
			{"SiLU'", slope(SiLU), func(v float64) float64 {
				s := 1 / (1 + math.Exp(-v))
				return s * (1 + v*(1-s))
			}, 0, 5e-7},
		} {
			got := make([]float32, len(xs))
			c.f(got, xs)
			worstULP, worst := 0.0, 0.0
			for i, x := range xs {
				want := c.want(float64(x))
				if c.name == "exp" && (want < 0x1p-126 || want > math.MaxFloat32) {
					continue // flushed, or overflowed: TestFunctionErrors
				}
				u, a := ulps(got[i], want), math.Abs(float64(got[i])-want)/max(1, math.Abs(float64(x)))
				worstULP, worst = max(worstULP, u), max(worst, a)
				if !(u <= c.ulp || a <= c.abs) {
					t.Fatalf("%s(%g) = %g, want %g: %.1f ulp, %.2g", c.name, x, got[i], want, u, a)
				}
			}
			if c.ulp > 0 {
				t.Logf("%s: %d points, at most %.2f ulp", c.name, len(xs), worstULP)
			} else {
				t.Logf("%s: %d points, at most %.2g·max(1, |x|)", c.name, len(xs), worst)
			}
		}
	})
}

// FuzzPasses: every pass at every level agrees with the plain loops.
func FuzzPasses(f *testing.F) {
	f.Add(uint64(1), uint16(17), uint8(3))
	f.Add(uint64(2), uint16(64), uint8(12))
	f.Fuzz(func(t *testing.T, seed uint64, length uint16, which uint8) {
		p := passes[int(which)%len(passes)]
		n := 2 + int(length)%600*2
		for _, l := range cpu.Levels() {
			t.Run(fmt.Sprint(l), func(t *testing.T) {
				defer cpu.Use(l)()
				rng := newRand(seed)
				checkPass(t, p, [][]float32{random(rng, n), random(rng, n), random(rng, n), random(rng, n)},
					[3]float32{float32(rng.NormFloat64()), float32(rng.NormFloat64()), 0})
			})
		}
	})
}

// FuzzFunctions feeds bits as they come, infinities, NaN and subnormal numbers
// among them, to every function at every level, and compares with the plain
// loops.
func FuzzFunctions(f *testing.F) {
	for _, v := range []float32{0, 1, -1, 88.7, -87.3, 1e-40, 3e38, inf, -inf, float32(math.NaN()), 1e20, -1e20} {
		f.Add(math.Float32bits(v), math.Float32bits(-v/3), uint8(5))
	}
	f.Add(uint32(0x7fa00001), uint32(1), uint8(39)) // NaN of many kinds
	f.Add(uint32(0xffffff00), uint32(3), uint8(39))
	f.Fuzz(func(t *testing.T, a, b uint32, n uint8) {
		x, ones := make([]float32, 1+n%40), make([]float32, 1+n%40)
		for i := range x {
			x[i], ones[i] = math.Float32frombits(a+uint32(i)*b), 1
		}
		run := func(l cpu.Level) (out [11][]float32) {
			defer cpu.Use(l)()
			for i := range out {
				out[i] = make([]float32, len(x))
			}
			Exp(out[0], x)
			Tanh(out[1], x)
			Erf(out[2], x)
			for act := GELUTanh; act <= ReLU; act++ {
				Activate(act, out[3+2*act], x)
				ActivateBackward(act, out[4+2*act], ones, x)
			}
			return out
		}
		want := run(cpu.Generic)
		for _, l := range cpu.Levels() {
			for k, got := range run(l) {
				for i, v := range got {
					w := float64(want[k][i])
					if v != v && w != w || float64(v) == w || ulps(v, w) <= 6 {
						continue
					}
					if k == 0 || !(math.Abs(float64(v)-w) <= 5e-7*max(1, math.Abs(float64(x[i])))) {
						t.Errorf("%s: function %d of %g is %g, plain loops %g", l, k, x[i], v, w)
					}
				}
			}
		}
	})
}
