package cpu

import (
	"math"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// rowsOf runs f over all rows of a tensor with about cost nanoseconds each.
func (d *Device) rowsOf(t tensor.Tensor, cost int, f func(i int)) {
	d.pool.For(t.Rows, d.grain(t.Rows, cost), func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// values runs f over ranges of all values of a tensor.
func (d *Device) values(t tensor.Tensor, f func(lo, hi int)) {
	const block = 4096 // a multiple of the kernels' blocks
	n := t.Len()
	d.pool.For((n+block-1)/block, 2, func(_, lo, hi int) { f(lo*block, min(hi*block, n)) })
}

// AddRows implements tensor.Device.
func (d *Device) AddRows(y, table tensor.Tensor, rows []int32) {
	if len(rows) != y.Rows || table.Cols != y.Cols {
		panic("cpu: added rows do not fit")
	}
	for i, r := range rows {
		kernel.Add(y.Row(i), table.Row(int(r)))
	}
}

// RMSNorm implements tensor.Device.
func (d *Device) RMSNorm(y, x, w tensor.Tensor, eps float32, plusOne bool) {
	sameShape(y, x)
	d.rowsOf(x, 2*x.Cols, func(i int) { kernel.RMSNorm(y.Row(i), x.Row(i), w.Data, eps, plusOne) })
}

// RMSNormBackward implements tensor.Device.
func (d *Device) RMSNormBackward(dx, dy, x, w tensor.Tensor, eps float32, plusOne, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.rowsOf(x, 4*x.Cols, func(i int) {
		kernel.RMSNormBackward(dx.Row(i), dy.Row(i), x.Row(i), w.Data, eps, plusOne, accumulate)
	})
}

// LayerNorm implements tensor.Device.
func (d *Device) LayerNorm(y, x, w, b tensor.Tensor, eps float32) {
	sameShape(y, x)
	d.rowsOf(x, 3*x.Cols, func(i int) { kernel.LayerNorm(y.Row(i), x.Row(i), w.Data, b.Data, eps) })
}

// LayerNormBackward implements tensor.Device.
func (d *Device) LayerNormBackward(dx, dy, x, w tensor.Tensor, eps float32, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.rowsOf(x, 5*x.Cols, func(i int) {
		kernel.LayerNormBackward(dx.Row(i), dy.Row(i), x.Row(i), w.Data, eps, accumulate)
	})
}

// Rotate implements tensor.Device. Angles are float32 products of position
// and frequency, as the references compute them.
func (d *Device) Rotate(x tensor.Tensor, positions []int32, r tensor.Rotary, inverse bool) {
	if len(positions) != x.Rows || x.Cols != r.Heads*r.HeadDim || 2*len(r.Freqs) > r.HeadDim {
		panic("cpu: rotation does not fit")
	}
	half := len(r.Freqs)
	d.pool.For(x.Rows, d.grain(x.Rows, x.Cols+40*half), func(worker, lo, hi int) {
		angles := grow(&d.workers[worker].scores, 2*half)
		cos, sin := angles[:half], angles[half:]
		last := int32(-1)
		for i := lo; i < hi; i++ {
			if p := positions[i]; p != last {
				last = p
				for j, f := range r.Freqs {
					s, c := math.Sincos(float64(float32(p) * f))
					cos[j], sin[j] = float32(c)*r.Scale, float32(s)*r.Scale
				}
			}
			kernel.Rotate(x.Row(i), r.Heads, r.HeadDim, cos, sin, inverse)
		}
	})
}

// SplitHeads implements tensor.Device.
func (d *Device) SplitHeads(q, k, v, qkv tensor.Tensor, heads int) {
	d.eachHead(q, k, v, qkv, heads, func(part, whole []float32) { copy(part, whole) })
}

// JoinHeads implements tensor.Device.
func (d *Device) JoinHeads(qkv, q, k, v tensor.Tensor, heads int) {
	d.eachHead(q, k, v, qkv, heads, func(part, whole []float32) { copy(whole, part) })
}

func (d *Device) eachHead(q, k, v, qkv tensor.Tensor, heads int, f func(part, whole []float32)) {
	sameShape(q, k)
	sameShape(q, v)
	if qkv.Rows != q.Rows || qkv.Cols != 3*q.Cols || q.Cols%heads != 0 {
		panic("cpu: heads do not fit")
	}
	width := q.Cols / heads
	d.rowsOf(q, 3*q.Cols, func(i int) {
		whole := qkv.Row(i)
		for h := range heads {
			for j, t := range []tensor.Tensor{q, k, v} {
				at := (3*h + j) * width
				f(t.Row(i)[h*width:(h+1)*width], whole[at:at+width])
			}
		}
	})
}

// Activate implements tensor.Device.
func (d *Device) Activate(y, x tensor.Tensor, act tensor.Activation) {
	sameShape(y, x)
	d.values(x, func(lo, hi int) { kernel.Activate(kernel.Activation(act), y.Data[lo:hi], x.Data[lo:hi]) })
}

// ActivateBackward implements tensor.Device.
func (d *Device) ActivateBackward(dx, dy, x tensor.Tensor, act tensor.Activation) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.values(x, func(lo, hi int) {
		kernel.ActivateBackward(kernel.Activation(act), dx.Data[lo:hi], dy.Data[lo:hi], x.Data[lo:hi])
	})
}

// Gate implements tensor.Device.
func (d *Device) Gate(y, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(y, gate)
	sameShape(up, gate)
	d.values(gate, func(lo, hi int) {
		kernel.Gate(kernel.Activation(act), y.Data[lo:hi], gate.Data[lo:hi], up.Data[lo:hi])
	})
}

// GateBackward implements tensor.Device.
func (d *Device) GateBackward(dgate, dup, dy, gate, up tensor.Tensor, act tensor.Activation) {
	for _, t := range []tensor.Tensor{dgate, dup, dy, up} {
		sameShape(t, gate)
	}
	d.values(gate, func(lo, hi int) {
		kernel.GateBackward(kernel.Activation(act), dgate.Data[lo:hi], dup.Data[lo:hi], dy.Data[lo:hi], gate.Data[lo:hi], up.Data[lo:hi])
	})
}

// Add implements tensor.Device.
func (d *Device) Add(y, x tensor.Tensor) {
	sameShape(y, x)
	d.values(x, func(lo, hi int) { kernel.Add(y.Data[lo:hi], x.Data[lo:hi]) })
}

// Scale implements tensor.Device.
func (d *Device) Scale(x tensor.Tensor, a float32) {
	if a == 1 {
		return
	}
	d.values(x, func(lo, hi int) { kernel.Scale(a, x.Data[lo:hi]) })
}

// Softcap implements tensor.Device.
func (d *Device) Softcap(x tensor.Tensor, c float32) {
	d.values(x, func(lo, hi int) { kernel.Softcap(x.Data[lo:hi], c) })
}

// Dropout implements tensor.Device: a value is kept if a hash of seed, row
// number and column, as a fraction of 2³², is at least the rate.
func (d *Device) Dropout(y, x tensor.Tensor, rate float32, seed uint64, rows []uint64) {
	sameShape(y, x)
	if len(rows) != x.Rows || rate < 0 || rate >= 1 {
		panic("cpu: dropout does not fit")
	}
	keep := 1 / (1 - rate)
	limit := uint64(float64(rate) * (1 << 32))
	d.rowsOf(x, 3*x.Cols, func(i int) {
		row := mix(seed ^ mix(rows[i]))
		out := y.Row(i)
		for j, v := range x.Row(i) {
			if mix(row+uint64(j))>>32 < limit {
				out[j] = 0
			} else {
				out[j] = v * keep
			}
		}
	})
}

// mix is the output function of splitmix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Gather implements tensor.Device.
func (d *Device) Gather(y, x tensor.Tensor, rows []int32) {
	if len(rows) != y.Rows || y.Cols != x.Cols {
		panic("cpu: gathered rows do not fit")
	}
	for i, r := range rows {
		copy(y.Row(i), x.Row(int(r)))
	}
}

// Scatter implements tensor.Device.
func (d *Device) Scatter(y, x tensor.Tensor, rows []int32) {
	if len(rows) != x.Rows || y.Cols != x.Cols {
		panic("cpu: scattered rows do not fit")
	}
	for i, r := range rows {
		copy(y.Row(int(r)), x.Row(i))
	}
}

// SumSquares implements tensor.Device. The order is that of fixed blocks.
func (d *Device) SumSquares(x tensor.Tensor) float64 {
	const block = 1 << 14
	parts := make([]float64, (x.Len()+block-1)/block)
	d.pool.For(len(parts), 2, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			parts[i] = kernel.SumSquares(x.Data[i*block : min((i+1)*block, x.Len())])
		}
	})
	var sum float64
	for _, p := range parts {
		sum += p
	}
	return sum
}

// Step implements tensor.Device.
func (d *Device) Step(p, g, m, v tensor.Tensor, o tensor.AdamW) {
	for _, t := range []tensor.Tensor{g, m, v} {
		sameShape(t, p)
	}
	d.values(p, func(lo, hi int) {
		kernel.AdamW(p.Data[lo:hi], g.Data[lo:hi], m.Data[lo:hi], v.Data[lo:hi],
			o.LR, o.Beta1, o.Beta2, o.Eps, o.WeightDecay, o.Correction1, o.Correction2)
	})
}
