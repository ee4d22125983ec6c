package cpu

import (
	"math"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// normOperands are those of the norms, with the names that tensor.Device gives them.
type normOperands struct {
	y, x, w, b, dy, dx  tensor.Tensor
	eps                 float32
	plusOne, accumulate bool
}

// RMSNorm implements tensor.Device.
func (d *Device) RMSNorm(y, x, w tensor.Tensor, eps float32, plusOne bool) {
	sameShape(y, x)
	d.op.norm = normOperands{y: y, x: x, w: w, eps: eps, plusOne: plusOne}
	d.eachRow(x.Rows, x.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		n := &o.norm
		for i := lo; i < hi; i++ {
			kernel.RMSNorm(n.y.Row(i), n.x.Row(i), n.w.Data, n.eps, n.plusOne)
		}
	})
}

// addNormOperands are those of AddRMSNorm.
type addNormOperands struct {
	y, sum, x, d tensor.Tensor
	post, next   tensor.RMSNorm
}

// AddRMSNorm implements tensor.Device. A row stays in the cache for all of its work.
func (d *Device) AddRMSNorm(y, sum, x, dx tensor.Tensor, post, next tensor.RMSNorm) {
	sameShape(y, x)
	sameShape(sum, x)
	sameShape(dx, x)
	d.op.addNorm = addNormOperands{y, sum, x, dx, post, next}
	d.eachRow(x.Rows, x.Cols/2, func(_ *Device, o *operands, _, lo, hi int) {
		n := &o.addNorm
		for i := lo; i < hi; i++ {
			y, sum, x, d := n.y.Row(i), n.sum.Row(i), n.x.Row(i), n.d.Row(i)
			if !n.post.W.None() {
				kernel.RMSNorm(y, d, n.post.W.Data, n.post.Eps, n.post.PlusOne)
				d = y
			}
			switch &sum[0] {
			case &x[0]:
				kernel.Add(sum, d)
			case &d[0]:
				kernel.Add(sum, x)
			default:
				copy(sum, x)
				kernel.Add(sum, d)
			}
			kernel.RMSNorm(y, sum, n.next.W.Data, n.next.Eps, n.next.PlusOne)
		}
	})
}

// RMSNormBackward implements tensor.Device.
func (d *Device) RMSNormBackward(dx, dy, x, w tensor.Tensor, eps float32, plusOne, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op.norm = normOperands{dx: dx, dy: dy, x: x, w: w, eps: eps, plusOne: plusOne, accumulate: accumulate}
	d.eachRow(x.Rows, x.Cols/2, func(_ *Device, o *operands, _, lo, hi int) {
		n := &o.norm
		for i := lo; i < hi; i++ {
			kernel.RMSNormBackward(n.dx.Row(i), n.dy.Row(i), n.x.Row(i), n.w.Data, n.eps, n.plusOne, n.accumulate)
		}
	})
}

// LayerNorm implements tensor.Device.
func (d *Device) LayerNorm(y, x, w, b tensor.Tensor, eps float32) {
	sameShape(y, x)
	d.op.norm = normOperands{y: y, x: x, w: w, b: b, eps: eps}
	d.eachRow(x.Rows, x.Cols/3, func(_ *Device, o *operands, _, lo, hi int) {
		n := &o.norm
		for i := lo; i < hi; i++ {
			kernel.LayerNorm(n.y.Row(i), n.x.Row(i), n.w.Data, n.b.Data, n.eps)
		}
	})
}

// LayerNormBackward implements tensor.Device.
func (d *Device) LayerNormBackward(dx, dy, x, w tensor.Tensor, eps float32, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op.norm = normOperands{dx: dx, dy: dy, x: x, w: w, eps: eps, accumulate: accumulate}
	d.eachRow(x.Rows, x.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		n := &o.norm
		for i := lo; i < hi; i++ {
			kernel.LayerNormBackward(n.dx.Row(i), n.dy.Row(i), n.x.Row(i), n.w.Data, n.eps, n.accumulate)
		}
	})
}

// angles holds the cosines and sines of the positions of a batch. Every layer, and
// both directions of a pass, rotate by the same angles.
type angles struct {
	positions []int32
	freqs     []float32
	scale     float32
	cos, sin  []float32 // [positions, freqs]
}

// of computes the angles of positions and frequencies, unless a holds them already.
// Angles are float32 products, as the reference implementations compute them.
func (a *angles) of(d *Device, positions []int32, r tensor.Rotary) {
	if a.scale == r.Scale && slices.Equal(a.positions, positions) && slices.Equal(a.freqs, r.Freqs) {
		return
	}
	a.positions = append(a.positions[:0], positions...)
	a.freqs, a.scale = append(a.freqs[:0], r.Freqs...), r.Scale
	grow(&a.cos, len(positions)*len(r.Freqs))
	grow(&a.sin, len(positions)*len(r.Freqs))
	d.eachRow(len(positions), 40*len(r.Freqs), func(d *Device, _ *operands, _, lo, hi int) {
		a, half := &d.angles, len(d.angles.freqs)
		for i := lo; i < hi; i++ {
			for j, f := range a.freqs {
				s, c := math.Sincos(float64(float32(a.positions[i]) * f))
				a.cos[i*half+j], a.sin[i*half+j] = float32(c)*a.scale, float32(s)*a.scale
			}
		}
	})
}

// rotationOperands are those of Rotate; the angles are in Device.angles.
type rotationOperands struct {
	x       tensor.Tensor
	heads   int
	inverse bool
}

// Rotate implements tensor.Device.
func (d *Device) Rotate(x tensor.Tensor, positions tensor.Ints, r tensor.Rotary, inverse bool) {
	if len(positions.Host) != x.Rows || x.Cols != r.Heads*r.HeadDim || 2*len(r.Freqs) > r.HeadDim {
		panic("cpu: Rotate: the positions or the heads do not fit")
	}
	d.angles.of(d, positions.Host, r)
	d.op.rotation = rotationOperands{x: x, heads: r.Heads, inverse: inverse}
	d.eachRow(x.Rows, x.Cols/4, func(d *Device, o *operands, _, lo, hi int) {
		a, half, x, heads := &d.angles, len(d.angles.freqs), o.rotation.x, o.rotation.heads
		for i := lo; i < hi; i++ {
			cos, sin := a.cos[i*half:(i+1)*half], a.sin[i*half:(i+1)*half]
			kernel.Rotate(x.Row(i), heads, x.Cols/heads, cos, sin, o.rotation.inverse)
		}
	})
}
