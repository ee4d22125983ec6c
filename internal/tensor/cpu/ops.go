package cpu

import (
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// body computes the indices lo ≤ i < hi of an operation. It captures nothing: its
// operands are in o.
type body func(d *Device, o *operands, worker, lo, hi int)

// eachRow runs f over the rows of a tensor, which cost about cost nanoseconds each.
func (d *Device) eachRow(rows, cost int, f body) { d.loop(rows, d.grain(rows, cost), f) }

// blockOperands are those of eachBlock.
type blockOperands struct {
	n int
	f body
}

// valueBlock is a multiple of the kernels' blocks.
const valueBlock = 4096

// eachBlock runs f over all n values of a tensor; f gets ranges of values.
func (d *Device) eachBlock(n int, f body) {
	d.op.blocks = blockOperands{n, f}
	d.loop((n+valueBlock-1)/valueBlock, 2, func(d *Device, o *operands, worker, lo, hi int) {
		o.blocks.f(d, o, worker, lo*valueBlock, min(hi*valueBlock, o.blocks.n))
	})
}

// rowOperands are those of operations that read or write listed rows.
type rowOperands struct {
	dst, src tensor.Tensor
	rows     []int32
}

// AddRows implements tensor.Device.
func (d *Device) AddRows(y, table tensor.Tensor, rows tensor.Ints) {
	if len(rows.Host) != y.Rows || table.Cols != y.Cols {
		panic("cpu: AddRows: the rows do not fit the output")
	}
	d.op.rows = rowOperands{dst: y, src: table, rows: rows.Host}
	d.eachRow(y.Rows, y.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.Add(o.rows.dst.Row(i), o.rows.src.Row(int(o.rows.rows[i])))
		}
	})
}

// Gather implements tensor.Device.
func (d *Device) Gather(y, x tensor.Tensor, rows tensor.Ints) {
	if len(rows.Host) != y.Rows || y.Cols != x.Cols {
		panic("cpu: Gather: the rows do not fit the output")
	}
	d.op.rows = rowOperands{dst: y, src: x, rows: rows.Host}
	d.eachRow(y.Rows, y.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(o.rows.dst.Row(i), o.rows.src.Row(int(o.rows.rows[i])))
		}
	})
}

// Scatter implements tensor.Device.
func (d *Device) Scatter(y, x tensor.Tensor, rows tensor.Ints) {
	if len(rows.Host) != x.Rows || y.Cols != x.Cols {
		panic("cpu: Scatter: the rows do not fit the input")
	}
	d.op.rows = rowOperands{dst: y, src: x, rows: rows.Host}
	d.eachRow(x.Rows, x.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(o.rows.dst.Row(int(o.rows.rows[i])), o.rows.src.Row(i))
		}
	})
}

// ScatterAdd implements tensor.Device. A column's sums run over the rows in their order,
// whatever the number of workers.
func (d *Device) ScatterAdd(y, x tensor.Tensor, rows tensor.Ints) {
	if len(rows.Host) != x.Rows || y.Cols != x.Cols {
		panic("cpu: ScatterAdd: the rows do not fit the input")
	}
	d.op.rows = rowOperands{dst: y, src: x, rows: rows.Host}
	d.loop((x.Cols+columnBlock-1)/columnBlock, 1, func(_ *Device, o *operands, _, lo, hi int) {
		from, to := lo*columnBlock, min(hi*columnBlock, o.rows.src.Cols)
		for i, r := range o.rows.rows {
			kernel.Add(o.rows.dst.Row(int(r))[from:to], o.rows.src.Row(i)[from:to])
		}
	})
}

// headOperands are those of SplitHeads and JoinHeads.
type headOperands struct {
	q, k, v, qkv tensor.Tensor
	n            int // heads
	join         bool
}

// SplitHeads implements tensor.Device.
func (d *Device) SplitHeads(q, k, v, qkv tensor.Tensor, heads int) {
	d.eachHead(headOperands{q: q, k: k, v: v, qkv: qkv, n: heads})
}

// JoinHeads implements tensor.Device.
func (d *Device) JoinHeads(qkv, q, k, v tensor.Tensor, heads int) {
	d.eachHead(headOperands{q: q, k: k, v: v, qkv: qkv, n: heads, join: true})
}

// eachHead copies each head's values from qkv to q, k and v, or back with join.
func (d *Device) eachHead(h headOperands) {
	sameShape(h.q, h.k)
	sameShape(h.q, h.v)
	if h.qkv.Rows != h.q.Rows || h.qkv.Cols != 3*h.q.Cols || h.q.Cols%h.n != 0 {
		panic("cpu: the heads do not fit the joint matrix")
	}
	d.op.heads = h
	d.eachRow(h.q.Rows, 3*h.q.Cols/4, func(_ *Device, o *operands, _, lo, hi int) {
		h := &o.heads
		width := h.q.Cols / h.n
		for i := lo; i < hi; i++ {
			joint := h.qkv.Row(i)
			for head := range h.n {
				for j, t := range [...]tensor.Tensor{h.q, h.k, h.v} {
					own, at := t.Row(i)[head*width:(head+1)*width], (3*head+j)*width
					if h.join {
						copy(joint[at:], own)
					} else {
						copy(own, joint[at:])
					}
				}
			}
		}
	})
}

// valueOperands are those of operations on single values.
type valueOperands struct {
	y, x tensor.Tensor
	c    float32 // a factor or a cap
}

// Add implements tensor.Device.
func (d *Device) Add(y, x tensor.Tensor) {
	sameShape(y, x)
	d.op.values = valueOperands{y: y, x: x}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.Add(o.values.y.Data[lo:hi], o.values.x.Data[lo:hi])
	})
}

// Scale implements tensor.Device.
func (d *Device) Scale(x tensor.Tensor, a float32) {
	if a == 1 {
		return
	}
	d.op.values = valueOperands{x: x, c: a}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		x := o.values.x.Data[lo:hi]
		kernel.Scale(x, o.values.c, x)
	})
}

// Softcap implements tensor.Device.
func (d *Device) Softcap(x tensor.Tensor, c float32) {
	d.op.values = valueOperands{x: x, c: c}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		kernel.Softcap(o.values.x.Data[lo:hi], o.values.c)
	})
}

// Dot implements tensor.Device.
func (d *Device) Dot(x, weights tensor.Tensor) tensor.Value {
	if x.Cols != 1 || !weights.None() && weights.Len() != x.Rows {
		panic("cpu: the weights do not fit the rows")
	}
	var sum float64
	for i, v := range x.Data[:x.Rows] {
		if weights.None() {
			sum += float64(v)
		} else {
			sum += float64(v) * float64(weights.Data[i])
		}
	}
	return tensor.Known(sum)
}

// SumSquares implements tensor.Device.
func (d *Device) SumSquares(ts ...tensor.Tensor) tensor.Value {
	var sum float64
	for _, x := range ts {
		sum += d.sumSquares(x)
	}
	return tensor.Known(sum)
}

// sumSquares adds up the sums of blocks of fixed length, so that the result does not depend
// on the workers.
func (d *Device) sumSquares(x tensor.Tensor) float64 {
	const block = 1 << 14
	n := (x.Len() + block - 1) / block
	sums := grow(&d.sums, n)
	d.op.values = valueOperands{x: x}
	d.loop(n, 2, func(d *Device, o *operands, _, lo, hi int) {
		x := o.values.x
		for i := lo; i < hi; i++ {
			d.sums[i] = kernel.SumSquares(x.Data[i*block : min((i+1)*block, x.Len())])
		}
	})
	var sum float64
	for _, s := range sums {
		sum += s
	}
	return sum
}

// activationOperands are those of activations and gates, with the names that
// tensor.Device gives them. x is the input of a plain activation.
type activationOperands struct {
	act                kernel.Activation
	y, x, gate, up     tensor.Tensor
	dy, dx, dgate, dup tensor.Tensor
}

// Activate implements tensor.Device.
func (d *Device) Activate(y, x tensor.Tensor, act tensor.Activation) {
	sameShape(y, x)
	d.op.activation = activationOperands{act: kernel.Activation(act), y: y, x: x}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		a := &o.activation
		kernel.Activate(a.act, a.y.Data[lo:hi], a.x.Data[lo:hi])
	})
}

// ActivateBackward implements tensor.Device.
func (d *Device) ActivateBackward(dx, dy, x tensor.Tensor, act tensor.Activation) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.op.activation = activationOperands{act: kernel.Activation(act), dx: dx, dy: dy, x: x}
	d.eachBlock(x.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		a := &o.activation
		kernel.ActivateBackward(a.act, a.dx.Data[lo:hi], a.dy.Data[lo:hi], a.x.Data[lo:hi])
	})
}

// Gate implements tensor.Device.
func (d *Device) Gate(y, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(y, gate)
	sameShape(up, gate)
	d.op.activation = activationOperands{act: kernel.Activation(act), y: y, gate: gate, up: up}
	d.eachBlock(gate.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		a := &o.activation
		kernel.Gate(a.act, a.y.Data[lo:hi], a.gate.Data[lo:hi], a.up.Data[lo:hi])
	})
}

// GateBackward implements tensor.Device.
func (d *Device) GateBackward(dgate, dup, dy, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(dgate, gate)
	sameShape(dup, gate)
	sameShape(dy, gate)
	sameShape(up, gate)
	d.op.activation = activationOperands{act: kernel.Activation(act), dgate: dgate, dup: dup, dy: dy, gate: gate, up: up}
	d.eachBlock(gate.Len(), func(_ *Device, o *operands, _, lo, hi int) {
		a := &o.activation
		kernel.GateBackward(a.act, a.dgate.Data[lo:hi], a.dup.Data[lo:hi], a.dy.Data[lo:hi], a.gate.Data[lo:hi], a.up.Data[lo:hi])
	})
}

// dropoutOperands are those of Dropout.
type dropoutOperands struct {
	y, x tensor.Tensor
	rate float32
	seed uint64
	rows []uint64
}

// Dropout implements tensor.Device. A value is kept if a hash of the seed, the row's
// number and the column, as a fraction of 2³², is at least the rate.
func (d *Device) Dropout(y, x tensor.Tensor, rate float32, seed uint64, rows tensor.Numbers) {
	sameShape(y, x)
	if len(rows.Host) != x.Rows || rate < 0 || rate >= 1 {
		panic("cpu: Dropout: the row numbers do not fit, or the rate is not in [0, 1)")
	}
	d.op.dropout = dropoutOperands{y: y, x: x, rate: rate, seed: seed, rows: rows.Host}
	d.eachRow(x.Rows, 3*x.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		p := &o.dropout
		keep, limit := 1/(1-p.rate), uint64(float64(p.rate)*(1<<32))
		for i := lo; i < hi; i++ {
			row, out := mix(p.seed^mix(p.rows[i])), p.y.Row(i)
			for j, v := range p.x.Row(i) {
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

// updateOperands are those of Update.
type updateOperands struct {
	tensor.Param
	scale float32
	tensor.AdamW
}

// Update implements tensor.Device. A block of values is in the cache for all of its work.
func (d *Device) Update(ps []tensor.Param, scale float32, a tensor.AdamW) {
	for _, p := range ps {
		sameShape(p.Grad, p.Value)
		sameShape(p.M, p.Value)
		sameShape(p.V, p.Value)
		d.op.update = updateOperands{p, scale, a}
		d.eachBlock(p.Value.Len(), func(_ *Device, o *operands, _, lo, hi int) {
			u := &o.update
			g := u.Grad.Data[lo:hi]
			if u.scale != 1 {
				kernel.Scale(g, u.scale, g)
			}
			kernel.AdamW(u.Value.Data[lo:hi], g, u.M.Data[lo:hi], u.V.Data[lo:hi],
				u.LR, u.Beta1, u.Beta2, u.Eps, u.WeightDecay, u.Correction1, u.Correction2)
			clear(g)
		})
		if p.Packed != nil {
			d.Repack(p.Packed, p.Value)
		}
	}
}
