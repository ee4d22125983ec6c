//go:build cuda && linux

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
)

// stored is an operand of a product: what lies on the device, and value(row, k) of it.
type stored struct {
	at     cuda.Pointer
	ld     int
	values []float32
	value  func(row, k int) float64
}

// operand draws an operand of rows and k, stored as [rows, k] or transposed as [k, rows]. Rows of
// bfloat16 are padded to multiples of 8: with zeros, or with NaN where the product must not read them.
func (b *bench) operand(draw func(n int) []float32, rows, k int, transposed bool, dt dtype.DType, pad float32) stored {
	lines, length := rows, k
	if transposed {
		lines, length = k, rows
	}
	s := stored{ld: length, values: draw(lines * length)}
	if dt == dtype.BF16 {
		s.ld = (length + 7) / 8 * 8
	}
	padded := make([]float32, lines*s.ld)
	for i := range padded {
		padded[i] = pad
		if at := i % s.ld; at < length {
			padded[i] = s.values[i/s.ld*length+at]
		}
	}
	s.value = func(row, k int) float64 {
		if transposed {
			row, k = k, row
		}
		return float64(s.values[row*length+k])
	}
	s.at = b.put(dtype.Narrow(dt, padded))
	return s
}

// family is how the operands of a family are stored.
type family struct {
	name         string
	dt           dtype.DType
	xRows, wRows bool // whether k is the rows of the operand as stored
}

var families = []family{
	{cuda.ProductF32, dtype.F32, false, false},
	{cuda.ProductF32T, dtype.F32, false, true},
	{cuda.ProductGrad, dtype.F32, true, true},
	{cuda.ProductBF16T, dtype.BF16, false, true},
}

func (b *bench) operands(f family, draw func(n int) []float32, T, N, K int) (x, w stored, o cuda.Operands) {
	x = b.operand(draw, T, K, f.xRows, f.dt, 0)
	w = b.operand(draw, N, K, f.wRows, f.dt, float32(math.NaN()))
	return x, w, cuda.Operands{X: x.at, W: w.at, T: T, N: N, K: K, Ldx: x.ld, Ldw: w.ld, Ldy: N, Flags: cuda.OutF32, Chunk: K, Parts: 1}
}

// Each kernel against float64, at sizes around the tiles, with lengths that are no multiples of anything.
func TestFamilies(t *testing.T) {
	b := newBench(t)
	shapes := [][3]int{{1, 1, 1}, {1, 33, 64}, {3, 32, 31}, {13, 95, 70}, {70, 140, 33}, {9, 40, 300}, {5, 64, 0}}
	if cudatest.Large() {
		shapes = append(shapes, [3]int{1, 2304, 2304}, [3]int{300, 2304, 513}, [3]int{128, 2304, 2048})
	}
	for _, f := range families {
		draw := func(n int) []float32 { return b.normal(n, 1, f.dt) }
		for _, s := range shapes {
			T, N, K := s[0], s[1], s[2]
			x, w, o := b.operands(f, draw, T, N, K)
			bias, before := b.normal(N, 1, dtype.F32), b.normal(T*N, 1, dtype.F32)
			want, size := make([]float64, T*N), make([]float64, T*N)
			for i := range want {
				for k := range K {
					term := x.value(i/N, k) * w.value(i%N, k)
					want[i] += term
					size[i] += math.Abs(term)
				}
			}
			products := b.kernels.Products(f.name)
			if len(products) < 2 {
				t.Fatalf("%s has %d kernels", f.name, len(products))
			}
			for _, p := range products {
				for _, accumulate := range []bool{false, true} {
					o.Y, o.Bias, o.Flags = b.put(dtype.Bytes(before)), b.put(dtype.Bytes(bias)), cuda.OutF32
					if accumulate {
						o.Bias, o.Flags = 0, cuda.OutF32|cuda.Accumulate
					}
					p.Launch(b.Compute, o)
					for i, v := range b.get(o.Y, dtype.F32, T*N) {
						sum := want[i] + float64(bias[i%N])
						if accumulate {
							sum = want[i] + float64(before[i])
						}
						if d := math.Abs(float64(v) - sum); !(d <= 2e-6*size[i]+1e-6*(math.Abs(sum)+1)) {
							t.Fatalf("%s T=%d N=%d K=%d, accumulate %v: [%d,%d] is %g, want %g", p.Name, T, N, K, accumulate, i/N, i%N, v, sum)
						}
					}
				}
			}
		}
	}
}

// TestFloat32Digits: products by TF32 have the digits of float32, where those of single TF32 numbers would
// have three.
func TestFloat32Digits(t *testing.T) {
	b := newBench(t)
	const T, N, K = 16, 64, 1
	x, w, o := b.operands(families[0], func(n int) []float32 { return b.normal(n, 1, dtype.F32) }, T, N, K)
	o.Y = b.alloc(4 * T * N)
	b.kernels.Products(cuda.ProductF32)[0].Launch(b.Compute, o)
	worst := 0.0
	for i, v := range b.get(o.Y, dtype.F32, T*N) {
		want := x.value(i/N, 0) * w.value(i%N, 0)
		worst = max(worst, math.Abs(float64(v)-want)/math.Abs(want))
	}
	if worst > 1.0/(1<<21) {
		t.Errorf("a product is off by %g of its value", worst)
	}
	t.Logf("single products are off by %.3g at most", worst)
}

// Invariance in every family: the bits of a row are the same for every number of rows and in every kernel.
func TestFamiliesAreInvariant(t *testing.T) {
	b := newBench(t)
	N, K, counts := 72, 144, []int{1, 2, 7, 8, 9, 33, 64, 65, 130}
	if cudatest.Large() {
		N, K, counts = 1152, 2304, []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 299, 300}
	}
	most := counts[len(counts)-1]
	for _, f := range families {
		if f.xRows {
			continue // a gradient has no rows of a batch
		}
		for what, draw := range map[string]func(int) []float32{
			"normal values":    func(n int) []float32 { return b.normal(n, 1, f.dt) },
			"magnitudes apart": b.wide,
		} {
			_, _, o := b.operands(f, draw, most, N, K)
			o.Y = b.alloc(4 * most * N)
			products := b.kernels.Products(f.name)
			products[0].Launch(b.Compute, o)
			want := b.get(o.Y, dtype.F32, most*N)
			for _, T := range counts {
				for _, p := range products {
					o.T = T
					b.Compute.Fill(o.Y, 0xff, 4*most*N)
					p.Launch(b.Compute, o)
					b.same(fmt.Sprintf("%s, %s, %d rows", p.Name, what, T), b.get(o.Y, dtype.F32, T*N), want[:T*N])
				}
			}
		}
	}
}

// same compares bits.
func (b *bench) same(what string, got, want []float32) {
	b.t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			b.t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(got), v, want[i])
		}
	}
}

// TestGradChunks: chunks beside each other that are folded give the bits of chunks one after the other.
func TestGradChunks(t *testing.T) {
	b := newBench(t)
	const T, N, K, chunk = 33, 70, 150, 64
	x, w, o := b.operands(families[2], func(n int) []float32 { return b.normal(n, 1, dtype.F32) }, T, N, K)
	before := b.normal(T*N, 1, dtype.F32)
	for _, p := range b.kernels.Products(cuda.ProductGrad) {
		inTurn := o
		inTurn.Y, inTurn.Flags = b.put(dtype.Bytes(before)), cuda.OutF32|cuda.Accumulate
		for k := 0; k < K; k += chunk {
			inTurn.X, inTurn.W = x.at+cuda.Pointer(4*k*x.ld), w.at+cuda.Pointer(4*k*w.ld)
			inTurn.K = min(chunk, K-k)
			inTurn.Chunk = inTurn.K
			p.Launch(b.Compute, inTurn)
		}
		beside, y := o, b.put(dtype.Bytes(before))
		beside.Chunk, beside.Parts = chunk, (K+chunk-1)/chunk
		beside.Y = b.alloc(4 * T * N * beside.Parts)
		p.Launch(b.Compute, beside)
		b.Compute.Launch(b.kernel("fold"), 2, 1, cuda.Argument(y), cuda.Argument(beside.Y), cuda.Int(beside.Parts), cuda.Size(T*N))
		b.same(p.Name, b.get(y, dtype.F32, T*N), b.get(inTurn.Y, dtype.F32, T*N))
	}
}
