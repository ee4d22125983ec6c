//go:build cuda && linux

package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
)

// bench is a GPU with its kernels and the memory of one test.
type bench struct {
	*cuda.GPU
	t       testing.TB
	kernels *cuda.Kernels
	random  *rand.Rand
}

func newBench(t testing.TB) *bench {
	g := cudatest.Open(t)
	return &bench{g, t, must[*cuda.Kernels](t)(g.LoadKernels()), rand.New(rand.NewPCG(3, 4))}
}

func (b *bench) alloc(bytes int) cuda.Pointer {
	b.t.Helper()
	p := must[cuda.Pointer](b.t)(b.Alloc(max(bytes, 1)))
	b.t.Cleanup(func() {
		if b.Err() == nil {
			check(b.t, b.Free(p))
		}
	})
	return p
}

func (b *bench) put(bytes []byte) cuda.Pointer {
	b.t.Helper()
	p := b.alloc(len(bytes))
	check(b.t, b.Upload(p, bytes))
	return p
}

func (b *bench) get(p cuda.Pointer, dt dtype.DType, n int) []float32 {
	b.t.Helper()
	bytes := make([]byte, n*dt.Size())
	check(b.t, b.Download(bytes, p))
	return must[[]float32](b.t)(dtype.Float32s(dt, bytes))
}

// normal draws n values of the given spread, rounded to dt.
func (b *bench) normal(n int, spread float64, dt dtype.DType) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(b.random.NormFloat64() * spread)
		if dt == dtype.BF16 {
			v[i] = dtype.RoundBF16(v[i])
		}
	}
	return v
}

// wide draws values of magnitudes between 2^-20 and 2^20, whose sums show the order of adding.
func (b *bench) wide(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = dtype.RoundBF16(float32(math.Ldexp(b.random.NormFloat64(), b.random.IntN(41)-20)))
	}
	return v
}

func (b *bench) kernel(name string) *cuda.Function {
	b.t.Helper()
	f := b.kernels.Function(name)
	if f == nil {
		b.t.Fatalf("no kernel %s", name)
	}
	return f
}

// near compares with a float64 reference: each value may be off by relative of its size and by
// absolute.
func near(t testing.TB, what string, got []float32, want []float64, relative, absolute float64) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= relative*math.Abs(w)+absolute) {
			t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], w)
		}
	}
}

const (
	bf16Half = 1.0 / 256 // half a unit in the last place of a bfloat16, relative
	f32Few   = 4e-6      // some operations in float32
)

func TestRMSNorm(t *testing.T) {
	b := newBench(t)
	for _, d := range []int{1, 31, 256, 257, 2304, 5120} {
		const rows, eps = 5, 1e-6
		x, w := b.normal(rows*d, 3, dtype.F32), b.normal(d, 1, dtype.F32)
		for _, plusOne := range []int{0, 1} {
			want := make([]float64, rows*d)
			for r := range rows {
				sum := 0.0
				for _, v := range x[r*d : (r+1)*d] {
					sum += float64(v) * float64(v)
				}
				for i, v := range x[r*d : (r+1)*d] {
					want[r*d+i] = float64(v) / math.Sqrt(sum/float64(d)+eps) * (float64(w[i]) + float64(plusOne))
				}
			}
			px, pw := b.put(dtype.Bytes(x)), b.put(dtype.Bytes(w))
			for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
				y := b.alloc(rows * d * dt.Size())
				name := map[dtype.DType]string{dtype.F32: "rms_norm_f32", dtype.BF16: "rms_norm_bf16_f32"}[dt]
				b.Compute.Launch(b.kernel(name), rows, 1, cuda.Argument(y), cuda.Argument(px), cuda.Argument(pw),
					cuda.Int(d), cuda.Float(eps), cuda.Int(plusOne))
				near(t, fmt.Sprint(name, " of ", d), b.get(y, dt, rows*d), want, tolerance(dt), 1e-7)
			}
		}
	}
}

func tolerance(dt dtype.DType) float64 {
	if dt == dtype.BF16 {
		return bf16Half
	}
	return f32Few
}

func TestAdd(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{1, 1000, 5000} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			y, x := b.normal(n, 1, dtype.F32), b.normal(n, 1, dt)
			want := make([]float64, n)
			for i := range want {
				want[i] = float64(y[i] + x[i])
			}
			py, px := b.put(dtype.Bytes(y)), b.put(dtype.Narrow(dt, x))
			name := map[dtype.DType]string{dtype.F32: "add_f32", dtype.BF16: "add_f32_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), 3, 1, cuda.Argument(py), cuda.Argument(px), cuda.Size(n))
			near(t, name, b.get(py, dtype.F32, n), want, 0, 0)
		}
	}
}

func TestGate(t *testing.T) {
	b := newBench(t)
	const rows = 3
	for _, f := range []int{301, 2 * 8 * 256} { // the second by eight values throughout
		b.testGate(rows, f)
	}
}

func (b *bench) testGate(rows, f int) {
	t := b.t
	activations := []func(float64) float64{
		func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
		func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		func(x float64) float64 { return max(x, 0) },
	}
	for act, of := range activations {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			// Gate and up are the halves of one row; the spread reaches far tails.
			x := b.normal(rows*2*f, 4, dt)
			copy(x, []float32{0, -100, 100, -20, 20, -1e-3, 1e-3, 0.5, -0.5})
			want := make([]float64, rows*f)
			for i := range want {
				at := i/f*2*f + i%f
				want[i] = of(float64(x[at])) * float64(x[at+f])
			}
			px, y := b.put(dtype.Narrow(dt, x)), b.alloc(rows*f*dt.Size())
			name := map[dtype.DType]string{dtype.F32: "gate_f32", dtype.BF16: "gate_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), (f+8*256-1)/(8*256), rows, cuda.Argument(y), cuda.Argument(px),
				cuda.Argument(px)+cuda.Argument(f*dt.Size()), cuda.Int(f), cuda.Int(2*f), cuda.Int(act))
			near(t, fmt.Sprint(name, " ", act), b.get(y, dt, rows*f), want, tolerance(dt)+2e-6, 4e-6)
		}
	}
}

func TestRotary(t *testing.T) {
	b := newBench(t)
	const rows, heads, width, pairs, scale = 4, 3, 20, 8, 1.5 // the last 4 values of a head stay
	positions := []int32{0, 1, 777, 131071}
	freqs := make([]float32, pairs)
	for i := range freqs {
		freqs[i] = float32(math.Pow(10000, -float64(i)/pairs))
	}
	places := make([]byte, 4*rows)
	for i, p := range positions {
		binary.LittleEndian.PutUint32(places[4*i:], uint32(p))
	}
	for _, inverse := range []int{0, 1} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			x := b.normal(rows*heads*width, 1, dt)
			want := make([]float64, len(x))
			for i, v := range x {
				row, in := i/(heads*width), i%width
				want[i] = float64(v)
				if in >= 2*pairs {
					continue
				}
				angle := float64(float32(positions[row]) * freqs[in%pairs])
				sin, cos := math.Sincos(angle)
				if inverse == 1 {
					sin = -sin
				}
				if in < pairs {
					want[i] = scale * (float64(v)*cos - float64(x[i+pairs])*sin)
				} else {
					want[i] = scale * (float64(v)*cos + float64(x[i-pairs])*sin)
				}
			}
			px := b.put(dtype.Narrow(dt, x))
			name := map[dtype.DType]string{dtype.F32: "rotary_f32", dtype.BF16: "rotary_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), rows, 1, cuda.Argument(px), cuda.Argument(b.put(places)),
				cuda.Argument(b.put(dtype.Bytes(freqs))), cuda.Int(heads), cuda.Int(width), cuda.Int(pairs),
				cuda.Int(heads*width), cuda.Float(scale), cuda.Int(inverse))
			near(t, name, b.get(px, dt, len(x)), want, tolerance(dt), 2e-6)
		}
	}
}

func TestEmbedAndConvert(t *testing.T) {
	b := newBench(t)
	const vocabulary, d, scale = 11, 300, 47.9
	x := b.normal(vocabulary*d, 1, dtype.F32)
	bad := b.put(make([]byte, 4))
	table := b.alloc(2 * len(x))
	b.Compute.Launch(b.kernel("convert_bf16"), 2, 1, cuda.Argument(table), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Size(len(x)), cuda.Argument(bad))
	rounded := b.get(table, dtype.BF16, len(x))
	want := make([]float64, len(x))
	for i, v := range x {
		want[i] = float64(dtype.RoundBF16(v))
	}
	near(t, "convert", rounded, want, 0, 0)
	ids := []byte{10, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 10, 0, 0, 0}
	for _, round := range []int{0, 1} {
		y := b.alloc(4 * 4 * d)
		b.Compute.Launch(b.kernel("embed"), 4, 1, cuda.Argument(y), cuda.Argument(table), cuda.Argument(b.put(ids)),
			cuda.Int(d), cuda.Float(scale), cuda.Int(round))
		want := make([]float64, 4*d)
		for i := range want {
			v := rounded[int(ids[i/d*4])*d+i%d] * float32(scale)
			if round == 1 {
				v = dtype.RoundBF16(v)
			}
			want[i] = float64(v)
		}
		near(t, "embed", b.get(y, dtype.F32, 4*d), want, 0, 0)
	}

	x[7], x[8], x[9] = float32(math.Inf(1)), float32(math.NaN()), float32(math.Inf(-1))
	b.Compute.Launch(b.kernel("convert_bf16"), 2, 1, cuda.Argument(table), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Size(len(x)), cuda.Argument(bad))
	count := make([]byte, 4)
	check(t, b.Download(count, bad))
	if count[0] != 3 {
		t.Errorf("%d of 3 infinities and NaNs were counted", count[0])
	}
}
