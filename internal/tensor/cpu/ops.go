package cpu

import (
	"math"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// body is what an operation does for the indices lo ≤ i < hi. It captures
// nothing: its operands are in o.
type body func(d *Device, o *operands, worker, lo, hi int)

// eachRow runs f over the rows of a tensor, about cost nanoseconds each, with
// the operands in d.op.
func (d *Device) eachRow(rows, cost int, f body) { d.loop(rows, d.grain(rows, cost), f) }

// valueBlock is a multiple of the kernels' blocks.
const valueBlock = 4096

// eachBlock runs f over blocks of all values of a tensor; f gets ranges of
// values.
func (d *Device) eachBlock(n int, f body) {
	d.op.n, d.op.each = n, f
	d.loop((n+valueBlock-1)/valueBlock, 2, func(d *Device, o *operands, worker, lo, hi int) {
		o.each(d, o, worker, lo*valueBlock, min(hi*valueBlock, o.n))
	})
}

// AddRows implements tensor.Device.
func (d *Device) AddRows(y, table tensor.Tensor, rows []int32) {
	if len(rows) != y.Rows || table.Cols != y.Cols {
		panic("cpu: added rows do not fit")
	}
	d.op = operands{y: y, x: table, rows: rows}
	d.eachRow(y.Rows, y.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.Add(o.y.Row(i), o.x.Row(int(o.rows[i])))
		}
	})
}

// RMSNorm implements tensor.Device.
func (d *Device) RMSNorm(y, x, w tensor.Tensor, eps float32, plusOne bool) {
	sameShape(y, x)
	d.op = operands{y: y, x: x, w: w, scale: eps, flag: plusOne}
	d.eachRow(x.Rows, x.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.RMSNorm(o.y.Row(i), o.x.Row(i), o.w.Data, o.scale, o.flag)
		}
	})
}

// RMSNormBackward implements tensor.Device.
func (d *Device) RMSNormBackward(dx, dy, x, w tensor.Tensor, eps float32, plusOne, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op = operands{dx: dx, dy: dy, x: x, w: w, scale: eps, flag: plusOne, accumulate: accumulate}
	d.eachRow(x.Rows, x.Cols/2, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.RMSNormBackward(o.dx.Row(i), o.dy.Row(i), o.x.Row(i), o.w.Data, o.scale, o.flag, o.accumulate)
		}
	})
}

// LayerNorm implements tensor.Device.
func (d *Device) LayerNorm(y, x, w, b tensor.Tensor, eps float32) {
	sameShape(y, x)
	d.op = operands{y: y, x: x, w: w, s: b, scale: eps}
	d.eachRow(x.Rows, x.Cols/3, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.LayerNorm(o.y.Row(i), o.x.Row(i), o.w.Data, o.s.Data, o.scale)
		}
	})
}

// LayerNormBackward implements tensor.Device.
func (d *Device) LayerNormBackward(dx, dy, x, w tensor.Tensor, eps float32, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op = operands{dx: dx, dy: dy, x: x, w: w, scale: eps, accumulate: accumulate}
	d.eachRow(x.Rows, x.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.LayerNormBackward(o.dx.Row(i), o.dy.Row(i), o.x.Row(i), o.w.Data, o.scale, o.accumulate)
		}
	})
}

// angles are the cosines and sines of the positions of a batch, which every
// layer and both directions of a pass rotate by.
type angles struct {
	positions []int32
	freqs     []float32
	scale     float32
	cos, sin  []float32 // [positions, freqs]
}

// of makes the angles those of positions and frequencies, unless they are
// already. Angles are float32 products, as the references compute them.
func (a *angles) of(d *Device, positions []int32, r tensor.Rotary) {
	if a.scale == r.Scale && slices.Equal(a.positions, positions) && slices.Equal(a.freqs, r.Freqs) {
		return
	}
	a.positions = append(a.positions[:0], positions...)
	a.freqs, a.scale = append(a.freqs[:0], r.Freqs...), r.Scale
	grow(&a.cos, len(positions)*len(r.Freqs))
	grow(&a.sin, len(positions)*len(r.Freqs))
	d.op = operands{}
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

// Rotate implements tensor.Device.
func (d *Device) Rotate(x tensor.Tensor, positions []int32, r tensor.Rotary, inverse bool) {
	if len(positions) != x.Rows || x.Cols != r.Heads*r.HeadDim || 2*len(r.Freqs) > r.HeadDim {
		panic("cpu: rotation does not fit")
	}
	d.angles.of(d, positions, r)
	d.op = operands{x: x, n: r.Heads, flag: inverse}
	d.eachRow(x.Rows, x.Cols/4, func(d *Device, o *operands, _, lo, hi int) {
		a, half := &d.angles, len(d.angles.freqs)
		for i := lo; i < hi; i++ {
			kernel.Rotate(o.x.Row(i), o.n, o.x.Cols/o.n, a.cos[i*half:(i+1)*half], a.sin[i*half:(i+1)*half], o.flag)
		}
	})
}

// SplitHeads implements tensor.Device.
func (d *Device) SplitHeads(q, k, v, qkv tensor.Tensor, heads int) {
	d.eachHead(q, k, v, qkv, heads, false)
}

// JoinHeads implements tensor.Device.
func (d *Device) JoinHeads(qkv, q, k, v tensor.Tensor, heads int) {
	d.eachHead(q, k, v, qkv, heads, true)
}

// eachHead copies the heads' parts from the whole, or to it.
func (d *Device) eachHead(q, k, v, qkv tensor.Tensor, heads int, join bool) {
	sameShape(q, k)
	sameShape(q, v)
	if qkv.Rows != q.Rows || qkv.Cols != 3*q.Cols || q.Cols%heads != 0 {
		panic("cpu: heads do not fit")
	}
	d.op = operands{x: q, k: k, v: v, y: qkv, n: heads, flag: join}
	d.eachRow(q.Rows, 3*q.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		width := o.x.Cols / o.n
		for i := lo; i < hi; i++ {
			whole := o.y.Row(i)
			for h := range o.n {
				for j, t := range [...]tensor.Tensor{o.x, o.k, o.v} {
					part, at := t.Row(i)[h*width:(h+1)*width], (3*h+j)*width
					if o.flag {
						copy(whole[at:], part)
					} else {
						copy(part, whole[at:])
					}
				}
			}
		}
	})
}

// Activate implements tensor.Device.
func (d *Device) Activate(y, x tensor.Tensor, act tensor.Activation) {
	sameShape(y, x)
	d.op = operands{y: y, x: x, act: kernel.Activation(act)}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.Activate(o.act, o.y.Data[lo:hi], o.x.Data[lo:hi])
	})
}

// ActivateBackward implements tensor.Device.
func (d *Device) ActivateBackward(dx, dy, x tensor.Tensor, act tensor.Activation) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op = operands{dx: dx, dy: dy, x: x, act: kernel.Activation(act)}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.ActivateBackward(o.act, o.dx.Data[lo:hi], o.dy.Data[lo:hi], o.x.Data[lo:hi])
	})
}

// Gate implements tensor.Device.
func (d *Device) Gate(y, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(y, gate)
	sameShape(up, gate)
	d.op = operands{y: y, x: gate, v: up, act: kernel.Activation(act)}
	d.eachBlock(gate.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.Gate(o.act, o.y.Data[lo:hi], o.x.Data[lo:hi], o.v.Data[lo:hi])
	})
}

// GateBackward implements tensor.Device.
func (d *Device) GateBackward(dgate, dup, dy, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(dgate, gate)
	sameShape(dup, gate)
	sameShape(dy, gate)
	sameShape(up, gate)
	d.op = operands{dx: dgate, dv: dup, dy: dy, x: gate, v: up, act: kernel.Activation(act)}
	d.eachBlock(gate.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.GateBackward(o.act, o.dx.Data[lo:hi], o.dv.Data[lo:hi], o.dy.Data[lo:hi], o.x.Data[lo:hi], o.v.Data[lo:hi])
	})
}

// Add implements tensor.Device.
func (d *Device) Add(y, x tensor.Tensor) {
	sameShape(y, x)
	d.op = operands{y: y, x: x}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) { kernel.Add(o.y.Data[lo:hi], o.x.Data[lo:hi]) })
}

// Scale implements tensor.Device.
func (d *Device) Scale(x tensor.Tensor, a float32) {
	if a == 1 {
		return
	}
	d.op = operands{x: x, scale: a}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) { kernel.Scale(o.scale, o.x.Data[lo:hi]) })
}

// Softcap implements tensor.Device.
func (d *Device) Softcap(x tensor.Tensor, c float32) {
	d.op = operands{x: x, scale: c}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) { kernel.Softcap(o.x.Data[lo:hi], o.scale) })
}

// Dropout implements tensor.Device: a value is kept if a hash of seed, row
// number and column, as a fraction of 2³², is at least the rate.
func (d *Device) Dropout(y, x tensor.Tensor, rate float32, seed uint64, rows []uint64) {
	sameShape(y, x)
	if len(rows) != x.Rows || rate < 0 || rate >= 1 {
		panic("cpu: dropout does not fit")
	}
	d.op = operands{y: y, x: x, scale: rate, seed: seed, ids: rows}
	d.eachRow(x.Rows, 3*x.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		keep, limit := 1/(1-o.scale), uint64(float64(o.scale)*(1<<32))
		for i := lo; i < hi; i++ {
			row, out := mix(o.seed^mix(o.ids[i])), o.y.Row(i)
			for j, v := range o.x.Row(i) {
				if mix(row+uint64(j))>>32 < limit {
					out[j] = 0
				} else {
					out[j] = v * keep
				}
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
	d.op = operands{y: y, x: x, rows: rows}
	d.eachRow(y.Rows, y.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(o.y.Row(i), o.x.Row(int(o.rows[i])))
		}
	})
}

// Scatter implements tensor.Device.
func (d *Device) Scatter(y, x tensor.Tensor, rows []int32) {
	if len(rows) != x.Rows || y.Cols != x.Cols {
		panic("cpu: scattered rows do not fit")
	}
	d.op = operands{y: y, x: x, rows: rows}
	d.eachRow(x.Rows, x.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(o.y.Row(int(o.rows[i])), o.x.Row(i))
		}
	})
}

// SumSquares implements tensor.Device. The order is that of fixed blocks.
func (d *Device) SumSquares(x tensor.Tensor) float64 {
	const block = 1 << 14
	n := (x.Len() + block - 1) / block
	parts := grow(&d.parts, n)
	d.op = operands{x: x}
	d.loop(n, 2, func(d *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			d.parts[i] = kernel.SumSquares(o.x.Data[i*block : min((i+1)*block, o.x.Len())])
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
	sameShape(g, p)
	sameShape(m, p)
	sameShape(v, p)
	d.op = operands{y: p, dy: g, x: m, v: v, adamW: o}
	d.eachBlock(p.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		w := &o.adamW
		kernel.AdamW(o.y.Data[lo:hi], o.dy.Data[lo:hi], o.x.Data[lo:hi], o.v.Data[lo:hi],
			w.LR, w.Beta1, w.Beta2, w.Eps, w.WeightDecay, w.Correction1, w.Correction2)
	})
}
