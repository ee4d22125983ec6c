//go:build cuda && linux

package cuda

import (
	"runtime"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// beside is the adapter of a BF16 weight W [n,k]. It lies in the weight's memory as bfloat16: B [n,r] as
// further columns, A [r,k] as further rows. So [x|u]·[W|B]ᵀ and [dy|v]·[W;A] are each one product, whose
// result is written once.
type beside struct {
	rank int   // how many columns and rows there is room for; a multiple of 8
	a, b int64 // stamps of what lies there
}

// Linear implements tensor.Device. With a BF16 weight all products are of bfloat16.
func (d *Device) Linear(y, u, x, in tensor.Tensor, tw tensor.Weight, bias tensor.Tensor, a tensor.Adapter) {
	w := tw.(*weight)
	rank, k := a.A.Dims()
	if n, r := a.B.Dims(); u.Rows != x.Rows || u.Cols != rank || in.Rows != x.Rows || in.Cols != k || k != w.k || n != w.n || r != rank ||
		x.Cols != w.k || !y.None() && (y.Cols != w.n || x.Rows != y.Rows) || !bias.None() && bias.Len() != w.n {
		panic("cuda: Linear: the shapes do not fit")
	}
	if w.dtype != dtype.BF16 {
		if !y.None() {
			d.MatMul(y, x, w, bias, false)
		}
		d.MatMul(u, in, a.A, tensor.Tensor{}, false)
		d.Scale(u, a.Scale)
		if !y.None() {
			d.MatMul(y, u, a.B, tensor.Tensor{}, true)
		}
		return
	}
	checkF32("Linear", u)
	d.begin("Linear", y, u, x)
	d.attach(w, a)
	r := roundUp(rank, 8)
	ld := w.width + r
	var both cuda.Pointer // [x|u]
	var thin list
	ldThin := ld
	if !y.None() {
		both = d.take(2 * x.Rows * ld)
		d.convert(rows{both, dtype.BF16, w.width, ld}, rowsOf(x), x.Rows, 0)
		thin.at = both
	}
	if y.None() || in.Handle != x.Handle {
		thin, ldThin = d.narrow(in, w.width), w.width
	}
	o := cuda.Operands{Y: cuda.Pointer(u.Handle), X: thin.at, W: w.row(w.below()), T: x.Rows, N: rank, K: w.width,
		Ldx: ldThin, Ldw: w.ld, Ldy: rank, Flags: cuda.OutF32}
	d.product(d.kernelFor(cuda.ProductBF16, o), o)
	d.drop(thin)
	d.Scale(u, a.Scale)
	if y.None() {
		runtime.KeepAlive(w)
		return
	}
	d.begin("Linear", y, u, x)
	d.convert(rows{both + cuda.Pointer(2*w.width), dtype.BF16, r, ld}, rowsOf(u), x.Rows, 0)
	o = cuda.Operands{Y: cuda.Pointer(y.Handle), X: both, W: w.at, Bias: cuda.Pointer(bias.Handle), T: x.Rows, N: w.n, K: ld,
		Ldx: ld, Ldw: w.ld, Ldy: w.n, Flags: flags("Linear", y, false)}
	d.product(d.kernelFor(cuda.ProductBF16, o), o)
	d.give(both)
	runtime.KeepAlive(w)
}

// LinearBackward implements tensor.Device.
func (d *Device) LinearBackward(dx, v, dy tensor.Tensor, tw tensor.Weight, a tensor.Adapter, accumulate bool) {
	w := tw.(*weight)
	rank, k := a.A.Dims()
	if n, r := a.B.Dims(); v.Rows != dy.Rows || v.Cols != rank || k != w.k || n != w.n || r != rank || dx.Cols != w.k ||
		dy.Cols != w.n || dx.Rows != dy.Rows {
		panic("cuda: LinearBackward: the shapes do not fit")
	}
	if w.dtype != dtype.BF16 {
		d.MatMulT(dx, dy, w, accumulate)
		d.MatMulT(v, dy, a.B, false)
		d.Scale(v, a.Scale)
		d.MatMulT(dx, v, a.A, true)
		return
	}
	checkF32("LinearBackward", v)
	d.begin("LinearBackward", dx, v, dy)
	d.attach(w, a)
	r, below := roundUp(rank, 8), w.below()
	ld := below + r
	both := d.take(2 * dy.Rows * ld) // [dy|v]
	d.convert(rows{both, dtype.BF16, below, ld}, rowsOf(dy), dy.Rows, 0)
	o := cuda.Operands{Y: cuda.Pointer(v.Handle), X: both, W: w.at + cuda.Pointer(2*w.width), T: dy.Rows, N: rank, K: w.n,
		Ldx: ld, Ldw: w.ld, Ldy: rank, Flags: cuda.OutF32}
	d.product(d.kernelFor(cuda.ProductBF16T, o), o)
	d.Scale(v, a.Scale)
	d.begin("LinearBackward", dx, v, dy)
	d.convert(rows{both + cuda.Pointer(2*below), dtype.BF16, r, ld}, rowsOf(v), dy.Rows, 0)
	o = cuda.Operands{Y: cuda.Pointer(dx.Handle), X: both, W: w.at, T: dy.Rows, N: w.k, K: ld, Ldx: ld, Ldw: w.ld, Ldy: w.k,
		Flags: flags("LinearBackward", dx, accumulate)}
	d.product(d.kernelFor(cuda.ProductBF16T, o), o)
	d.give(both)
	runtime.KeepAlive(w)
}

// below is the row at which A begins. Those between W and A are zero.
func (w *weight) below() int { return roundUp(w.n, 8) }

// attach brings an adapter beside its weight, unless it lies there already.
func (d *Device) attach(w *weight, a tensor.Adapter) {
	pa, pb := a.A.(*weight), a.B.(*weight)
	r := roundUp(pa.n, 8)
	if r > w.adapter.rank {
		d.extend(w, r)
	}
	if w.adapter.a != pa.stamp {
		d.convert(rows{w.row(w.below()), dtype.BF16, w.width, w.ld}, rows{pa.at, dtype.F32, pa.k, pa.ld}, pa.n, 0)
		d.stream.Fill(w.row(w.below()+pa.n), 0, 2*w.ld*(w.adapter.rank-pa.n)) // of an adapter before it
		w.adapter.a = pa.stamp
	}
	if w.adapter.b != pb.stamp {
		d.convert(rows{w.at + cuda.Pointer(2*w.width), dtype.BF16, w.adapter.rank, w.ld}, rows{pb.at, dtype.F32, pb.k, pb.ld}, pb.n, 0)
		w.adapter.b = pb.stamp
	}
	runtime.KeepAlive(pa)
	runtime.KeepAlive(pb)
}

// extend lays a weight out again with room for an adapter of the given rank.
func (d *Device) extend(w *weight, rank int) {
	made := weight{n: w.n, width: w.width, ld: w.width + rank, dtype: dtype.BF16, adapter: beside{rank: rank}}
	bytes := 2 * made.rows() * made.ld
	made.at = d.takeWeight(bytes)
	d.stream.Fill(made.at, 0, bytes)
	d.convert(rows{made.at, dtype.BF16, w.width, made.ld}, rows{w.at, dtype.BF16, w.width, w.ld}, w.n, 0)
	w.cleanup.Stop()
	d.give(w.at)
	w.at, w.ld, w.adapter = made.at, made.ld, made.adapter
	w.cleanup = reclaimed(d, w, w.at)
}
