// Package conformance tests a tensor.Device. It compares every operation with plain float64
// arithmetic and every backward pass with finite differences of that arithmetic, and checks
// that a row's result does not depend on the other rows of a batch.
package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// Tolerance bounds errors, relative to the size of the summed terms: float32 rounding over a
// few hundred of them.
const Tolerance = 2e-5

// bf16Tolerance bounds what a result that is stored as BF16 loses, relative to the largest value of its row.
const bf16Tolerance = 1.0 / 256

// Options tell what a run tests.
type Options struct {
	// Storage is the type of the operands that may have more than one: those of products with BF16 weights,
	// and what norms, attention and activations read and compute. The reference reads what is stored.
	Storage tensor.Type
	// Tolerance is that of F32 results; 0 means the constant. BF16 results may lose 2⁻⁸ of their row's
	// size as well.
	Tolerance float64
}

// matrix is a float64 matrix. The reference has no other type.
type matrix struct {
	rows, cols int
	v          []float64
}

func (m matrix) at(i, j int) float64     { return m.v[i*m.cols+j] }
func (m matrix) row(i int) []float64     { return m.v[i*m.cols : (i+1)*m.cols] }
func zeros(rows, cols int) matrix        { return matrix{rows, cols, make([]float64, rows*cols)} }
func (m matrix) clone() matrix           { return matrix{m.rows, m.cols, append([]float64(nil), m.v...)} }
func (m matrix) set(i, j int, x float64) { m.v[i*m.cols+j] = x }

// suite is one run over a device.
type suite struct {
	*testing.T
	dev tensor.Device
	o   Options
	rng *rand.Rand
}

// parts are the parts of the suite, which do not depend on each other.
var parts = []struct {
	name string
	f    func(*suite)
}{
	{"MatMul", matMul}, {"MatMuls", matMuls}, {"MatMulT", matMulT}, {"GradWeight", gradWeight}, {"Linear", linear}, {"Pack", packing},
	{"Unpack", unpack}, {"Columns", columns}, {"ScatterAdd", scatterAdd}, {"Trains", trainedHead},
	{"Embed", embed}, {"AddRows", addRows},
	{"RMSNorm", rmsNorm}, {"AddRMSNorm", addRMSNorm}, {"LayerNorm", layerNorm}, {"Rotate", rotate}, {"SplitHeads", splitHeads},
	{"Attend", attend}, {"AttendBackward", attendBackward}, {"AttendShared", attendShared}, {"AttendAlone", attendAlone},
	{"Activate", activate}, {"Gate", gate}, {"Elementwise", elementwise}, {"Dropout", dropout},
	{"Grow", grow}, {"Replay", replay}, {"GatherScatter", gatherScatter}, {"Lists", lists},
	{"CrossEntropy", crossEntropy}, {"LogProbs", logProbs}, {"HeadTypes", headTypes}, {"Select", selected}, {"Screen", screen},
	{"TopK", topK}, {"Optimiser", optimiser}, {"Invariance", invariance},
}

// Parts returns the names of the suite's parts.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// Part runs one part of the suite over a device.
func Part(t *testing.T, dev tensor.Device, name string, o Options) {
	if o.Tolerance == 0 {
		o.Tolerance = Tolerance
	}
	for _, p := range parts {
		if p.name == name {
			p.f((&suite{T: t, dev: dev, o: o}).seeded())
			return
		}
	}
	t.Fatalf("the suite has no part %s", name)
}

// Run tests a device.
func Run(t *testing.T, dev tensor.Device, o Options) {
	for _, name := range Parts() {
		t.Run(name, func(t *testing.T) { Part(t, dev, name, o) })
	}
}

// seeded returns the suite at the beginning of its random values.
func (s *suite) seeded() *suite { return &suite{s.T, s.dev, s.o, rand.New(rand.NewPCG(7, 7))} }

// random returns a matrix of float32-exact normal values.
func (s *suite) random(rows, cols int) matrix {
	m := zeros(rows, cols)
	for i := range m.v {
		m.v[i] = float64(float32(s.rng.NormFloat64()))
	}
	return m
}

// put copies a matrix to the device as F32.
func (s *suite) put(m matrix) tensor.Tensor { return s.as(tensor.F32, m) }

// operand copies a matrix to the device in the type of operands, to which it is rounded.
func (s *suite) operand(m matrix) tensor.Tensor { return s.as(s.o.Storage, m) }

// as copies a matrix to the device in a type, to which it is rounded.
func (s *suite) as(stored tensor.Type, m matrix) tensor.Tensor {
	for i, v := range m.v {
		m.v[i] = round(v, stored == tensor.BF16)
	}
	t := s.dev.AllocAs(m.rows, m.cols, stored)
	s.dev.Upload(t, narrow(m.v))
	return t
}

// result allocates a tensor in the type of operands.
func (s *suite) result(rows, cols int) tensor.Tensor { return s.dev.AllocAs(rows, cols, s.o.Storage) }

// both is a pair of types, which an operation has of its first two tensors.
type both [2]tensor.Type

// products lists the types of y and x in products with a weight.
func (s *suite) products(dt dtype.DType) []both {
	const f, b = tensor.F32, tensor.BF16
	switch {
	case s.o.Storage == f || dt == dtype.I8:
		return []both{{f, f}}
	case dt == dtype.F32: // those of an adapter
		return []both{{f, b}}
	}
	return []both{{b, b}, {f, b}, {b, f}}
}

// of returns the type of operands of products with a weight.
func (s *suite) of(dt dtype.DType) tensor.Type {
	if dt == dtype.BF16 {
		return s.o.Storage
	}
	return tensor.F32
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// get copies a tensor from the device.
func (s *suite) get(t tensor.Tensor) matrix {
	v := make([]float32, t.Len())
	s.dev.Download(v, t)
	m := zeros(t.Rows, t.Cols)
	for i, x := range v {
		m.v[i] = float64(x)
	}
	return m
}

// weight packs a matrix from checkpoint bytes.
func (s *suite) weight(m matrix, dt dtype.DType) tensor.Weight {
	s.Helper()
	w, err := s.dev.Pack(tensor.Matrix{Rows: m.rows, Cols: m.cols, DType: dtype.F32, Bytes: dtype.Bytes(narrow(m.v))}, dt)
	if err != nil {
		s.Fatal(err)
	}
	return w
}

// near compares a tensor with the reference. scale, if given, is the size of the terms of
// each element's sum. What is stored as BF16 may be off by bf16Tolerance of its row's size too.
func (s *suite) near(what string, got tensor.Tensor, want matrix, scale ...float64) {
	s.Helper()
	g := s.get(got)
	if g.rows != want.rows || g.cols != want.cols {
		s.Fatalf("%s: shape [%d %d], want [%d %d]", what, g.rows, g.cols, want.rows, want.cols)
	}
	size := 1.0
	if len(scale) > 0 {
		size = scale[0]
	}
	for i, w := range want.v {
		bound := s.o.Tolerance * max(size, math.Abs(w))
		if got.Type == tensor.BF16 {
			bound += bf16Tolerance * largest(want.row(i/want.cols))
		}
		if d := math.Abs(g.v[i] - w); !(d <= bound) {
			s.Fatalf("%s: value (%d,%d) is %g, want %g", what, i/want.cols, i%want.cols, g.v[i], w)
		}
	}
}

func largest(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, math.Abs(x))
	}
	return most
}

// gradient checks an analytic gradient of Σ weight·f(x) against central
// differences of the float64 reference f.
func (s *suite) gradient(what string, got tensor.Tensor, x, weight matrix, f func(matrix) matrix) {
	s.Helper()
	const h = 1e-5
	total := func(x matrix) float64 {
		y, sum := f(x), 0.0
		for i, w := range weight.v {
			sum += w * y.v[i]
		}
		return sum
	}
	want := zeros(x.rows, x.cols)
	probe := x.clone()
	for i := range x.v {
		probe.v[i] = x.v[i] + h
		up := total(probe)
		probe.v[i] = x.v[i] - h
		want.v[i] = (up - total(probe)) / (2 * h)
		probe.v[i] = x.v[i]
	}
	s.near(what, got, want, 3)
}

// product returns x·wᵀ. With bf16 each value is rounded to bfloat16 first.
func product(x, w matrix, bf16 bool) matrix {
	y := zeros(x.rows, w.rows)
	for i := range x.rows {
		for j := range w.rows {
			sum := 0.0
			for k, v := range x.row(i) {
				sum += round(v, bf16) * round(w.at(j, k), bf16)
			}
			y.set(i, j, sum)
		}
	}
	return y
}

func round(v float64, bf16 bool) float64 {
	if bf16 {
		return float64(dtype.RoundBF16(float32(v)))
	}
	return v
}

// packedProduct returns x·wᵀ as a weight packed as dt computes it.
func packedProduct(x, w matrix, dt dtype.DType) matrix {
	if dt == dtype.I8 {
		return product(dequantized(x, false), dequantized(w, true), false)
	}
	return product(x, w, dt == dtype.BF16)
}

// packedProductT returns dy·w likewise. An I8 weight is rounded to bfloat16 in its rotated
// form, and the product is rotated back.
func packedProductT(dy, w matrix, dt dtype.DType) matrix {
	if dt == dtype.I8 {
		dx := product(dy, transpose(dequantized(w, true)), true)
		for i := range dx.rows {
			hadamard(dx.row(i))
		}
		return dx
	}
	return product(dy, transpose(w), dt == dtype.BF16)
}

// dequantized returns the rotated rows of a matrix with the values that 8-bit integers
// and a scale per 64 of them leave. Scales of weights are rounded up to bfloat16.
func dequantized(m matrix, weights bool) matrix {
	const block = 64
	m = m.clone()
	for i := range m.rows {
		row := m.row(i)
		hadamard(row)
		for ; len(row) > 0; row = row[min(block, len(row)):] {
			var top float32
			for _, v := range row[:min(block, len(row))] {
				top = max(top, float32(math.Abs(v)))
			}
			scale, inverse := top/127, 127/top
			if weights {
				bits := math.Float32bits(scale)
				scale = math.Float32frombits((bits + 0xffff) &^ 0xffff)
				inverse = 1 / scale
			}
			for j, v := range row[:min(block, len(row))] {
				row[j] = math.RoundToEven(float64(float32(v)*inverse)) * float64(scale)
			}
		}
	}
	return m
}

// hadamard multiplies a row by the matrix of tensor.Device's I8 weights, in float32: an
// integer that is rounded the other way would show.
func hadamard(row []float64) {
	for b := 512; len(row) > 0; row = row[b:] {
		for b > len(row) {
			b /= 2
		}
		for h := 1; h < b; h *= 2 {
			for j := range b {
				if j&h == 0 {
					x, y := float32(row[j]), float32(row[j+h])
					row[j], row[j+h] = float64(x+y), float64(x-y)
				}
			}
		}
		scale := float32(1 / math.Sqrt(float64(b)))
		for j := range b {
			row[j] = float64(float32(row[j]) * scale)
		}
	}
}

func transpose(m matrix) matrix {
	t := zeros(m.cols, m.rows)
	for i := range m.rows {
		for j := range m.cols {
			t.set(j, i, m.at(i, j))
		}
	}
	return t
}

func plus(a, b matrix) matrix {
	c := a.clone()
	for i := range c.v {
		c.v[i] += b.v[i]
	}
	return c
}

// types lists the types of packed weights.
var types = []dtype.DType{dtype.F32, dtype.BF16, dtype.I8}

// shapes lists [T, N, K] around the sizes of the tiles.
var shapes = [][3]int{{1, 1, 1}, {1, 33, 64}, {3, 32, 31}, {7, 64, 48}, {13, 95, 70}, {40, 130, 33}, {2, 40, 700}}

func matMul(s *suite) {
	for _, shape := range shapes {
		for _, dt := range types {
			for _, stored := range s.products(dt) {
				s.matMul(shape, dt, stored)
			}
		}
	}
}

func (s *suite) matMul(shape [3]int, dt dtype.DType, stored both) {
	x, w, b, y0 := s.random(shape[0], shape[2]), s.random(shape[1], shape[2]), s.random(1, shape[1]), s.random(shape[0], shape[1])
	pw, px := s.weight(w, dt), s.as(stored[1], x)
	want := packedProduct(x, w, dt)
	what := fmt.Sprintf("%v %s %v", shape, dt, stored)
	y := s.as(stored[0], y0)
	s.dev.MatMul(y, px, pw, tensor.Tensor{}, false)
	s.near(what, y, want, 10)
	if y.Type == tensor.F32 {
		s.dev.Upload(y, narrow(y0.v))
		s.dev.MatMul(y, px, pw, tensor.Tensor{}, true)
		s.near(what+" accumulated", y, plus(want, y0), 10)
	}
	biased := want.clone()
	for i := range biased.rows {
		for j := range biased.cols {
			biased.set(i, j, biased.at(i, j)+b.at(0, j))
		}
	}
	s.dev.MatMul(y, px, pw, s.put(b), false)
	s.near(what+" with bias", y, biased, 10)
	if n, k := pw.Dims(); n != shape[1] || k != shape[2] || pw.DType() != dt || pw.Bytes() <= 0 {
		s.Errorf("%s: weight says %d %d %s %d", what, n, k, pw.DType(), pw.Bytes())
	}
}

// matMuls compares products of one x with each of them by itself, bit for bit.
func matMuls(s *suite) {
	for _, shape := range [][3]int{{1, 40, 33}, {3, 95, 64}, {7, 33, 72}, {13, 64, 136}, {40, 70, 48}, {70, 130, 56}} {
		T, N, K := shape[0], shape[1], shape[2]
		for _, dt := range types {
			for _, stored := range s.products(dt) {
				x := s.as(stored[1], s.random(T, K))
				for count := 1; count <= 3; count++ {
					var ps tensor.Products
					for i, n := range []int{N, 8, N/2 + 1}[:count] {
						ps[i] = tensor.Product{Y: s.as(stored[0], s.random(T, n)), W: s.weight(s.random(n, K), dt)}
						if i != 1 {
							ps[i].Bias = s.put(s.random(1, n))
						}
					}
					s.dev.MatMuls(x, ps)
					for i, p := range ps[:count] {
						alone := s.as(stored[0], s.random(T, p.Y.Cols))
						s.dev.MatMul(alone, x, p.W, p.Bias, false)
						if !slices.Equal(s.get(p.Y).v, s.get(alone).v) {
							s.Errorf("%v %s %v: product %d of %d has other bits than alone", shape, dt, stored, i, count)
						}
					}
				}
			}
		}
	}
}

func matMulT(s *suite) {
	for _, shape := range shapes {
		for _, dt := range types {
			for _, stored := range s.products(dt) {
				dy, w, dx0 := s.random(shape[0], shape[1]), s.random(shape[1], shape[2]), s.random(shape[0], shape[2])
				dx, pdy := s.as(stored[0], dx0), s.as(stored[1], dy)
				want := packedProductT(dy, w, dt)
				what := fmt.Sprintf("%v %s %v", shape, dt, stored)
				if dx.Type == tensor.F32 {
					s.dev.MatMulT(dx, pdy, s.weight(w, dt), true)
					s.near(what+" accumulated", dx, plus(want, dx0), 12)
				}
				s.dev.MatMulT(dx, pdy, s.weight(w, dt), false)
				s.near(what, dx, want, 12)
			}
		}
	}
}

func gradWeight(s *suite) {
	stored := []both{{s.o.Storage, s.o.Storage}}
	if s.o.Storage == tensor.BF16 {
		stored = append(stored, both{tensor.BF16, tensor.F32}, both{tensor.F32, tensor.BF16})
	}
	for _, shape := range shapes {
		for _, stored := range stored {
			dy, x, dw0 := s.random(shape[0], shape[1]), s.random(shape[0], shape[2]), s.random(shape[1], shape[2])
			dw := s.put(dw0)
			s.dev.GradWeight(dw, s.as(stored[0], dy), s.as(stored[1], x))
			s.near(fmt.Sprint(shape, stored), dw, plus(product(transpose(dy), transpose(x), false), dw0), 8)
		}
	}
}

// packing tests every stored type, values that are NaN or infinite, and repacking.
func packing(s *suite) {
	x, w := s.random(5, 37), s.random(40, 37)
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16, dtype.F16} {
		m := tensor.Matrix{Rows: 40, Cols: 37, DType: stored, Bytes: dtype.Narrow(stored, narrow(w.v))}
		back := make([]float32, len(w.v))
		dtype.Widen(back, stored, m.Bytes)
		exact := zeros(40, 37)
		for i, v := range back {
			exact.v[i] = float64(v)
		}
		pw, err := s.dev.Pack(m, dtype.F32)
		if err != nil {
			s.Fatal(err)
		}
		y := s.dev.Alloc(5, 40)
		s.dev.MatMul(y, s.put(x), pw, tensor.Tensor{}, false)
		s.near(string(stored), y, product(x, exact, false), 10)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		v := narrow(w.v)
		v[100] = bad
		if _, err := s.dev.Pack(tensor.Matrix{Rows: 40, Cols: 37, DType: dtype.F32, Bytes: dtype.Bytes(v)}, dtype.F32); err == nil {
			s.Errorf("%g was packed", bad)
		}
	}
	a, b := s.random(6, 37), s.random(6, 37)
	pw := s.dev.PackTensor(s.put(a))
	s.dev.Repack(pw, s.put(b))
	y := s.dev.Alloc(5, 6)
	s.dev.MatMul(y, s.put(x), pw, tensor.Tensor{}, false)
	s.near("repacked", y, product(x, b, false), 10)
}
