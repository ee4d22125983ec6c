//go:build cuda && linux

package cuda_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
)

// rotated returns a row times the matrix of tensor.Device's I8 weights, in float32.
func rotated(row []float32) []float32 {
	row = slices.Clone(row)
	rest := row
	for b := 512; len(rest) > 0; rest = rest[b:] {
		for b > len(rest) {
			b /= 2
		}
		for h := 1; h < b; h *= 2 {
			for j := range b {
				if j&h == 0 {
					rest[j], rest[j+h] = rest[j]+rest[j+h], rest[j]-rest[j+h]
				}
			}
		}
		for j := range b {
			rest[j] *= float32(1 / math.Sqrt(float64(b)))
		}
	}
	return row
}

// integers returns the integers of a rotated row and the scale of each 64.
func integers(row []float32, weights bool) (q []int8, scales []float32) {
	for len(row) > 0 {
		block := row[:min(64, len(row))]
		row = row[len(block):]
		var top float32
		for _, v := range block {
			top = max(top, float32(math.Abs(float64(v))))
		}
		scale, inverse := top/127, 127/top
		if weights {
			scale = math.Float32frombits((math.Float32bits(scale) + 0xffff) &^ 0xffff)
			inverse = 1 / scale
		}
		if top == 0 {
			scale, inverse = 0, 0
		}
		scales = append(scales, scale)
		for _, v := range block {
			q = append(q, int8(math.RoundToEven(float64(v*inverse))))
		}
	}
	return q, scales
}

// quantized is rows of 8-bit integers on the device and on the host.
type quantized struct {
	at, scales cuda.Pointer
	rows, K, k int // k is K rounded up to whole blocks
	q          [][]int8
	s          [][]float32
}

// quantize rotates and quantises rows on the device, and compares each integer and scale with the plain
// arithmetic. zero is a row of zeros.
func (b *bench) quantize(rows, K int, weights bool, zero int) quantized {
	b.t.Helper()
	x := b.normal(rows*K, 2, dtype.F32)
	if zero < rows {
		clear(x[zero*K : (zero+1)*K])
	}
	blocks := (K + 63) / 64
	z := quantized{rows: rows, K: K, k: blocks * 64, at: b.alloc(rows * blocks * 64), scales: b.alloc(4 * rows * blocks)}
	name, dt := "quantize_rows", dtype.F32
	if weights {
		name, dt = "quantize_weights_f32", dtype.BF16
	}
	bad := b.put(make([]byte, 4))
	b.Compute.Launch(b.kernel(name), 2, 1, cuda.Argument(z.at), cuda.Argument(z.scales), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Int(K), cuda.Int(K), cuda.Int(blocks), cuda.Size(rows), cuda.Argument(bad))
	got := make([]byte, rows*z.k)
	check(b.t, b.Download(got, z.at))
	scales := b.get(z.scales, dt, rows*blocks)
	for r := range rows {
		q, s := integers(rotated(x[r*K:(r+1)*K]), weights)
		z.q, z.s = append(z.q, q), append(z.s, s)
		for i := range z.k {
			want := int8(0)
			if i < K {
				want = q[i]
			}
			if int8(got[r*z.k+i]) != want {
				b.t.Fatalf("%s of %d values: integer %d of row %d is %d, want %d", name, K, i, r, int8(got[r*z.k+i]), want)
			}
		}
		b.same(fmt.Sprintf("%s of %d values, scales of row %d", name, K, r), scales[r*blocks:(r+1)*blocks], s)
	}
	return z
}

// The integers and scales of rows and weights are those of the plain arithmetic, and so is every bit of
// their products, by every kernel and for every number of rows.
func TestProductsOfIntegers(t *testing.T) {
	b := newBench(t)
	shapes := [][3]int{{1, 1, 1}, {3, 33, 64}, {9, 40, 70}, {33, 150, 200}, {2, 20, 1000}}
	if cudatest.Large() {
		shapes = append(shapes, [3]int{300, 2304, 2304}, [3]int{1, 9216, 2304}, [3]int{64, 2304, 9216})
	}
	for _, shape := range shapes {
		T, N, K := shape[0], shape[1], shape[2]
		x, w := b.quantize(T, K, false, 1), b.quantize(N, K, true, 5)
		want := make([]float32, T*N)
		for i := range want {
			q, s, v, z := x.q[i/N], x.s[i/N], w.q[i%N], w.s[i%N]
			for block := range s {
				sum := int32(0)
				for k := block * 64; k < min(K, block*64+64); k++ {
					sum += int32(q[k]) * int32(v[k])
				}
				want[i] += float32(float32(float32(sum)*z[block]) * s[block])
			}
		}
		for _, p := range b.kernels.Products(cuda.ProductI8) {
			for _, rows := range slices.Compact([]int{1, (T + 1) / 2, T}) {
				y := b.alloc(4 * T * N)
				p.Launch(b.Compute, cuda.Operands{Y: y, X: x.at, W: w.at, XScales: x.scales, WScales: w.scales, T: rows, N: N, K: x.k,
					Ldxs: len(x.s[0]), Ldws: len(w.s[0]), Ldy: N, Flags: cuda.OutF32})
				b.same(fmt.Sprintf("%s T=%d N=%d K=%d", p.Name, rows, N, K), b.get(y, dtype.F32, rows*N), want[:rows*N])
			}
		}
	}
}

// TestHadamard: the rotation has the bits of the plain arithmetic, in place and added; twice it is nothing.
func TestHadamard(t *testing.T) {
	b := newBench(t)
	const rows = 3
	for _, K := range []int{1, 2, 7, 16, 63, 64, 100, 192, 511, 512, 1000, 2304} {
		x, y := b.normal(rows*K, 1, dtype.F32), b.normal(rows*K, 1, dtype.F32)
		var want, sum []float32
		for r := range rows {
			want = append(want, rotated(x[r*K:(r+1)*K])...)
		}
		for i, v := range want {
			sum = append(sum, y[i]+v)
		}
		px, py := b.put(dtype.Bytes(x)), b.put(dtype.Bytes(y))
		rotate := func(y, x cuda.Pointer, add int) {
			b.Compute.Launch(b.kernel("hadamard"), 2, 1, cuda.Argument(y), cuda.Argument(x), cuda.Int(K), cuda.Size(rows), cuda.Int(add))
		}
		rotate(py, px, 1)
		b.same(fmt.Sprint(K, " added"), b.get(py, dtype.F32, rows*K), sum)
		rotate(px, px, 0)
		b.same(fmt.Sprint(K, " in place"), b.get(px, dtype.F32, rows*K), want)
		rotate(px, px, 0)
		for i, v := range b.get(px, dtype.F32, rows*K) {
			if math.Abs(float64(v-x[i])) > 1e-5 {
				t.Fatalf("%d values rotated twice: value %d is %g, want %g", K, i, v, x[i])
			}
		}
	}
}

// TestRows: conversions of rows of every length keep or round the values, fill what is behind them with zeros,
// and count infinities and NaNs.
func TestRows(t *testing.T) {
	b := newBench(t)
	const rows = 3
	for _, K := range []int{1, 8, 13, 72} {
		for _, from := range []dtype.DType{dtype.F32, dtype.BF16} {
			for _, to := range []dtype.DType{dtype.F32, dtype.BF16} {
				ldx, width := K+K%2*3, (K+7)/8*8
				ldy := width + K%3*8
				x := b.normal(rows*ldx, 1, from)
				bad := b.put(make([]byte, 4))
				y := b.alloc(rows * ldy * to.Size())
				name := map[dtype.DType]string{dtype.F32: "f32", dtype.BF16: "bf16"}
				b.Compute.Fill(y, 0x7f, rows*ldy*to.Size())
				behind := must[[]float32](t)(dtype.Float32s(to, bytes.Repeat([]byte{0x7f}, to.Size())))[0]
				run := func() []float32 {
					b.Compute.Launch(b.kernel("rows_"+name[from]+"_to_"+name[to]), 2, 1, cuda.Argument(y),
						cuda.Argument(b.put(dtype.Narrow(from, x))), cuda.Int(K), cuda.Int(ldx), cuda.Int(width), cuda.Int(ldy),
						cuda.Size(rows), cuda.Argument(bad))
					return b.get(y, to, rows*ldy)
				}
				want := make([]float32, rows*ldy)
				for i := range want {
					switch r, k := i/ldy, i%ldy; {
					case k >= width:
						want[i] = behind
					case k < K && to == dtype.BF16:
						want[i] = dtype.RoundBF16(x[r*ldx+k])
					case k < K:
						want[i] = x[r*ldx+k]
					}
				}
				b.same(fmt.Sprint(from, " to ", to, " of ", K), run(), want)
				x[0], x[ldx] = float32(math.Inf(-1)), float32(math.NaN())
				run()
				count := make([]byte, 4)
				check(t, b.Download(count, bad))
				if count[0] != 2 {
					t.Errorf("%s to %s of %d: %d infinities and NaNs counted, want 2", from, to, K, count[0])
				}
			}
		}
	}
}

// TestDequantize: integers times scales, rounded to bfloat16.
func TestDequantize(t *testing.T) {
	b := newBench(t)
	const rows = 4
	for _, K := range []int{1, 64, 70, 200} {
		w := b.quantize(rows, K, true, 2)
		for name, dt := range map[string]dtype.DType{"dequantize_bf16": dtype.BF16, "dequantize_f32": dtype.F32} {
			ld := (K + 7) / 8 * 8
			y := b.alloc(rows * ld * dt.Size())
			b.Compute.Launch(b.kernel(name), 2, 1, cuda.Argument(y), cuda.Argument(w.at), cuda.Argument(w.scales), cuda.Int(K),
				cuda.Int(len(w.s[0])), cuda.Int(ld), cuda.Size(rows))
			want := make([]float32, rows*ld)
			for r := range rows {
				for k := range K {
					want[r*ld+k] = dtype.RoundBF16(float32(w.q[r][k]) * w.s[r][k/64])
				}
			}
			b.same(name, b.get(y, dt, rows*ld), want)
		}
	}
}

// TestSelectRows: the beginnings of rows come in the given order.
func TestSelectRows(t *testing.T) {
	b := newBench(t)
	const rows, words, ldx = 5, 300, 310
	x, order := b.normal(rows*ldx, 1, dtype.F32), []int32{4, 0, 0, 3}
	list := make([]byte, 0, 4*len(order))
	for _, r := range order {
		list = append(list, byte(r), 0, 0, 0)
	}
	y := b.alloc(4 * len(order) * words)
	b.Compute.Launch(b.kernel("select_rows"), len(order), 1, cuda.Argument(y), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Argument(b.put(list)), cuda.Int(words), cuda.Int(ldx))
	var want []float32
	for _, r := range order {
		want = append(want, x[r*ldx:][:words]...)
	}
	b.same("select_rows", b.get(y, dtype.F32, len(want)), want)
}
