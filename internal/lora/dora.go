package lora

import (
	"math"

	"barka/internal/tensor"
)

// Magnitude is DoRA's trained length M of each row of a layer's weights:
// y = g∘(W·x̃ + s·B·A·x̃) + W·(x - x̃) + bias, where the factor g[n] is M[n] divided by the
// norm of row n of W + s·B·A. Gradients take that norm as a constant, as the paper's section
// 4.3 and peft do.
type Magnitude struct {
	M, Grad tensor.Tensor // [1,N] Grad is none if the pair is frozen

	w             tensor.Weight // [N,K] the base weights
	squares       tensor.Tensor // [1,N] of the rows of W
	factor        tensor.Tensor // [1,N] g
	inverse       tensor.Tensor // [1,N] 1 / norm
	sums, lengths []float32     // [N] scratch
}

// AddMagnitude gives a packed pair the magnitudes M [1,N]. If m is none, they are the norms
// of the rows of W + s·B·A, so that they change nothing at first.
func (p *Pair) AddMagnitude(dev tensor.Device, w tensor.Weight, m tensor.Tensor) {
	n, _ := w.Dims()
	p.Magnitude = &Magnitude{M: m, w: w, squares: dev.Alloc(1, n), factor: dev.Alloc(1, n), inverse: dev.Alloc(1, n),
		sums: make([]float32, n), lengths: make([]float32, n)}
	dev.Upload(p.Magnitude.squares, squares(dev, w))
	if m.None() {
		p.Magnitude.M = dev.Alloc(1, n)
		norms := p.Magnitude.norms(dev, p)
		dev.Upload(p.Magnitude.M, norms)
	}
	p.Magnitude.renew(dev, p)
}

// unpacked is the number of rows of base weights that are unpacked at once.
const unpacked = 128

// squares returns the sums of the squares of the rows of W [N,K].
func squares(dev tensor.Device, w tensor.Weight) []float32 {
	n, k := w.Dims()
	sums, rows := make([]float32, n), dev.Alloc(min(n, unpacked), k)
	defer dev.Free(rows)
	values := make([]float32, rows.Len())
	for lo := 0; lo < n; lo += unpacked {
		some := rows.Slice(0, min(unpacked, n-lo))
		dev.Unpack(some, w, lo)
		dev.Download(values[:some.Len()], some)
		for i := range some.Rows {
			var sum float64
			for _, v := range values[i*k : (i+1)*k] {
				sum += float64(v) * float64(v)
			}
			sums[lo+i] = float32(sum)
		}
	}
	return sums
}

// norms returns the norms [N] of the rows of W + s·B·A, from their squares
// ‖W[n]‖² + Σ_j B[n,j]·(2s·(W·Aᵀ)[n,j] + s²·(B·A·Aᵀ)[n,j]), which takes the product of W with
// r rows. W + s·B·A is not computed.
func (m *Magnitude) norms(dev tensor.Device, p *Pair) []float32 {
	r, n := p.Rank(), m.squares.Cols
	gram, v, b, sums := dev.Alloc(r, r), dev.Alloc(r, n), dev.Alloc(r, n), dev.Alloc(1, n)
	defer dev.Free(gram, v, b, sums)
	dev.MatMul(gram, p.A, p.a, tensor.Tensor{}, false) // gram [r,r] = A·Aᵀ
	dev.MatMul(v, gram, p.b, tensor.Tensor{}, false)   // v [r,N] = A·Aᵀ·Bᵀ
	dev.Scale(v, p.Scale*p.Scale)
	dev.MatMul(b, p.A, m.w, tensor.Tensor{}, false) // b [r,N] = A·Wᵀ
	dev.Scale(b, 2*p.Scale)
	dev.Add(v, b)
	m.identity(dev, gram)
	dev.MatMul(b, gram, p.b, tensor.Tensor{}, false) // b [r,N] = Bᵀ
	dev.Copy(sums, m.squares)
	dev.ColumnDots(sums, b, v)
	dev.Download(m.sums, sums)
	for i, s := range m.sums {
		// Of a row of zeros, which rounding may make negative, the norm is not 0, so that
		// the factor stays finite.
		m.sums[i] = float32(math.Sqrt(max(float64(s), 1e-30)))
	}
	return m.sums
}

// identity sets t [r,r] to the identity.
func (m *Magnitude) identity(dev tensor.Device, t tensor.Tensor) {
	one := make([]float32, t.Len())
	for i := range t.Rows {
		one[i*t.Cols+i] = 1
	}
	dev.Upload(t, one)
}

// renew computes the factors after a change of A, B or M.
func (m *Magnitude) renew(dev tensor.Device, p *Pair) {
	norms := m.norms(dev, p)
	dev.Download(m.lengths, m.M)
	for i, n := range norms {
		m.lengths[i] /= n
		norms[i] = 1 / n
	}
	dev.Upload(m.factor, m.lengths)
	dev.Upload(m.inverse, norms)
}

// forwardDoRA is Forward of a pair with magnitudes. in is x̃. If y is none, save is set.
func (p *Pair) forwardDoRA(dev tensor.Device, base Base, y, x, in tensor.Tensor, drop Dropout, save bool) Saved {
	z := y // z [T,N], in the memory of y if it is not saved
	if save {
		n, _ := base.W.Dims()
		z = dev.Alloc(x.Rows, n)
	}
	dev.MatMul(z, in, base.W, tensor.Tensor{}, false)
	s := Saved{U: p.add(dev, z, in)}
	if save {
		s.Z = z
	}
	if y.None() {
		return s
	}
	dev.ScaleColumns(y, z, p.Magnitude.factor, base.Bias)
	if drop.Rate > 0 {
		rest := dev.Alloc(x.Rows, x.Cols) // rest [T,K] = x - x̃
		defer dev.Free(rest)
		dev.Copy(rest, in)
		dev.Scale(rest, -1)
		dev.Add(rest, x)
		dev.MatMul(y, rest, base.W, tensor.Tensor{}, true)
	}
	return s
}

// backwardDoRA is Backward of a pair with magnitudes: with dz = g∘dy it is that of the pair
// alone, and dM[n] += Σ_t dy[t,n]·z[t,n] / norm[n].
func (p *Pair) backwardDoRA(dev tensor.Device, base Base, dx, dy, x tensor.Tensor, s Saved, drop Dropout, accumulate bool) {
	m := p.Magnitude
	if dy.Type != tensor.F32 {
		wide := dev.Alloc(dy.Rows, dy.Cols) // for the operations on columns
		defer dev.Free(wide)
		dev.Copy(wide, dy)
		dy = wide
	}
	dz := dev.Alloc(dy.Rows, dy.Cols) // dz [T,N]
	dev.ScaleColumns(dz, dy, m.factor, tensor.Tensor{})
	if !m.Grad.None() {
		dots := dev.Alloc(1, dy.Cols)
		dev.Zero(dots)
		dev.ColumnDots(dots, dy, s.Z)
		dev.ScaleColumns(dots, dots, m.inverse, tensor.Tensor{})
		dev.Add(m.Grad, dots)
		dev.Free(dots)
	}
	v := p.gradients(dev, dz, x, s, drop) // v [T,r]
	defer dev.Free(dz, v)
	switch {
	case dx.None():
	case drop.Rate == 0:
		dev.MatMulT(dx, dz, base.W, accumulate)
		dev.MatMulT(dx, v, p.a, true)
	default: // W·(x - x̃) has no factor
		dev.MatMulT(dx, dy, base.W, accumulate)
		d, rest := dev.Alloc(dx.Rows, dx.Cols), dev.Alloc(dy.Rows, dy.Cols) // [T,K], [T,N]
		defer dev.Free(d, rest)
		dev.Copy(rest, dy)
		dev.Scale(rest, -1)
		dev.Add(rest, dz)
		dev.MatMulT(d, rest, base.W, false)
		dev.MatMulT(d, v, p.a, true)
		dev.Dropout(d, d, drop.Rate, p.seed(drop), drop.Rows)
		dev.Add(dx, d)
	}
}
