package kernel

import (
	"math"
	"testing"
)

var inf = float32(math.Inf(1))

// inputs covers magnitudes, signs and the special values.
func inputs() []float32 {
	xs := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.624, 0.626, -0.625, 1e-8, -1e-30, 10, -10, 50, -50,
		87.3, 88.72, 88.8, -87.3, -87.4, -104, 200, -200, 1e10, -1e10, inf, -inf, float32(math.NaN())}
	// All values around the ends of exp's range, and of GELU's, whose exponential ends there.
	for _, x := range []float32{88.722839, -87.336548, -10.0609665, 10.0609665} {
		for d := range uint32(64) {
			xs = append(xs, math.Float32frombits(math.Float32bits(x)-32+d))
		}
	}
	rng := newRand(7)
	for range 4000 {
		xs = append(xs, float32(rng.NormFloat64()*math.Exp2(float64(rng.IntN(16)-9))))
	}
	return xs
}

// ulps is the distance to want in units in the last place of want.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	if w == got || w != w && got != got {
		return 0
	}
	unit := float64(math.Nextafter32(float32(math.Abs(want)), inf)) - math.Abs(float64(w))
	return math.Abs(float64(got)-want) / unit
}

func TestFunctionErrors(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			f    func(dst, x []float32)
			want func(float64) float64
			ulps float64
		}{
			{"exp", Exp, math.Exp, 2},
			{"tanh", Tanh, math.Tanh, 5},
		} {
			xs := inputs()
			got := make([]float32, len(xs))
			c.f(got, xs)
			worst := 0.0
			for i, x := range xs {
				want := c.want(float64(x))
				if c.name == "exp" && want < 0x1p-126 {
					if got[i] != 0 {
						t.Errorf("exp(%g) = %g, expected a flush to 0", x, got[i])
					}
					continue
				}
				u := ulps(got[i], want)
				worst = max(worst, u)
				if !(u <= c.ulps) {
					t.Errorf("%s(%g) = %g, want %g: %.1f ulp", c.name, x, got[i], want, u)
				}
			}
			t.Logf("%s: at most %.2f ulp", c.name, worst)
		}
	})
}

// TestBlocksDoNotMatter: a value's result does not depend on its place.
func TestBlocksDoNotMatter(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		xs := inputs()[:200]
		whole := make([]float32, len(xs))
		Tanh(whole, xs)
		for n := 0; n <= 70; n++ {
			y, check := guarded(t, n, n%5)
			Tanh(y, xs[len(xs)-n:])
			check()
			for i, v := range y {
				w := whole[len(xs)-n+i]
				if v != w && !(v != v && w != w) {
					t.Fatalf("length %d: value %d is %g, alone %g", n, i, v, w)
				}
			}
		}
	})
}

func activation64(act Activation, v float64) float64 {
	switch act {
	case GELUTanh:
		return 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	case GELUErf:
		return 0.5 * v * (1 + math.Erf(v/math.Sqrt2))
	case SiLU:
		return v / (1 + math.Exp(-v))
	}
	return max(v, 0)
}

func TestActivations(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(8)
		for _, act := range []Activation{GELUTanh, GELUErf, SiLU, ReLU} {
			for _, n := range []int{0, 1, 15, 16, 17, 64, 65, 131} {
				gate, up, dy := random(rng, n), random(rng, n), random(rng, n)
				y, check := guarded(t, n, 1)
				Gate(act, y, gate, up)
				check()
				z := make([]float32, n)
				Activate(act, z, gate)
				dg, check1 := guarded(t, n, 2)
				du, check2 := guarded(t, n, 3)
				GateBackward(act, dg, du, dy, gate, up)
				check1()
				check2()
				dz := make([]float32, n)
				ActivateBackward(act, dz, dy, gate)
				for i := range n {
					g, u, d := float64(gate[i]), float64(up[i]), float64(dy[i])
					const h = 1e-5
					slope := (activation64(act, g+h) - activation64(act, g-h)) / (2 * h)
					for _, c := range []struct {
						name string
						got  float32
						want float64
					}{
						{"activate", z[i], activation64(act, g)}, {"gate", y[i], activation64(act, g) * u},
						{"dgate", dg[i], d * u * slope}, {"dup", du[i], d * activation64(act, g)}, {"dx", dz[i], d * slope},
					} {
						if !near(c.got, c.want, 1+math.Abs(c.want), 2e-6) {
							t.Fatalf("act %d length %d: %s[%d] of %g = %g, want %g", act, n, c.name, i, g, c.got, c.want)
						}
					}
				}
			}
		}
	})
}

// TestActivationEnds: where the exponentials in them leave the range of float32, activations are
// finite, within 10⁻⁶ of their magnitude.
func TestActivationEnds(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		xs := inputs()
		one, y, slope := make([]float32, len(xs)), make([]float32, len(xs)), make([]float32, len(xs))
		for i := range one {
			one[i] = 1
		}
		for _, act := range []Activation{GELUTanh, GELUErf, SiLU} {
			Gate(act, y, xs, one)
			ActivateBackward(act, slope, one, xs)
			for i, x := range xs {
				if abs := math.Abs(float64(x)); abs > 1e4 || abs != abs {
					continue
				}
				if want := activation64(act, float64(x)); !near(y[i], want, 1+math.Abs(want), 1e-6) || !(math.Abs(float64(slope[i])) < 2) {
					t.Errorf("act %d of %v is %v with slope %v, want %v", act, x, y[i], slope[i], want)
				}
			}
		}
	})
}

func TestVectors(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(9)
		for n := 0; n <= 200; n++ {
			x, y0 := random(rng, n+1)[1:], random(rng, n+3)[3:]
			var dot, scale, sq float64
			for i := range x {
				v := float64(x[i]) * float64(y0[i])
				dot += v
				scale += math.Abs(v)
				sq += float64(x[i]) * float64(x[i])
			}
			if got := Dot(x, y0); !near(got, dot, scale, 1e-6) {
				t.Fatalf("length %d: dot %g, want %g", n, got, dot)
			}
			if got := SumSquares(x); math.Abs(got-sq) > 1e-12*(1+sq) {
				t.Fatalf("length %d: sum of squares %g, want %g", n, got, sq)
			}
			y, check := guarded(t, n, 1)
			copy(y, y0)
			Axpy(0.5, x, y)
			check()
			for i := range y {
				if !near(y[i], float64(y0[i])+0.5*float64(x[i]), 4, 1e-7) {
					t.Fatalf("length %d: axpy[%d]", n, i)
				}
			}
		}
	})
}
