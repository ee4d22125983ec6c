package cpu

import (
	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// rowBudget bounds the packed activations of one pass over a weight, in
// values: 8 MiB stay in the last-level cache while panels stream by.
const rowBudget = 2 << 20

// reduceBlock is the length of the blocks over outputs in dx = dy·W.
const reduceBlock = 4096

// rowChunk returns how many rows of k values to run at once.
func rowChunk(m, k int) int {
	step := kernel.TileRows()
	n := max(rowBudget/max(k, 1)/step*step, 4*step)
	return min(m, n)
}

// MatMul implements tensor.Device.
func (d *Device) MatMul(y, x tensor.Tensor, tw tensor.Weight, bias tensor.Tensor, accumulate bool) {
	w := tw.(*weight)
	if x.Cols != w.k || y.Cols != w.n || x.Rows != y.Rows {
		panic("cpu: matrix product of shapes that do not fit")
	}
	if !bias.None() {
		if bias.Len() != w.n {
			panic("cpu: bias does not fit its product")
		}
		for i := range y.Rows {
			if accumulate {
				kernel.Add(y.Row(i), bias.Data)
			} else {
				copy(y.Row(i), bias.Data)
			}
		}
		accumulate = true
	}
	chunk := rowChunk(x.Rows, w.k)
	for lo := 0; lo < x.Rows; lo += chunk {
		hi := min(lo+chunk, x.Rows)
		d.product(y.Slice(lo, hi), x.Slice(lo, hi), w, accumulate)
	}
}

// product runs rows that fit the budget.
func (d *Device) product(y, x tensor.Tensor, w *weight, accumulate bool) {
	a := d.packRows(x.Data, x.Cols, x.Rows, w.k, w.DType())
	d.op = operands{y: y, weight: w, packed: a, accumulate: accumulate}
	d.panels(kernel.Panels(w.n), x.Rows, func(_ *Device, o *operands, _, p, lo, hi int) {
		n := o.weight.n
		o.weight.panel(o.y.Data[lo*n+p*kernel.PanelN:], n, o.packed, lo, hi, p, o.accumulate)
	})
}

// panel multiplies packed rows lo ≤ i < hi with panel p: the result goes to
// c [hi-lo, 32], ldc apart, or is added to it.
func (w *weight) panel(c []float32, ldc int, a packed, lo, hi, p int, accumulate bool) {
	cols, rows := min(kernel.PanelN, w.n-p*kernel.PanelN), a.data[lo*a.each:]
	switch w.DType() {
	case dtype.BF16:
		kernel.PanelBF16(c, ldc, rows, hi-lo, w.k, w.panelBF16(p), cols, accumulate)
	case dtype.I8:
		at := p * kernel.PanelN
		kernel.PanelI8(c, ldc, rows, a.scales[lo:], hi-lo, w.k, w.panelI8(p), w.scales[at:], w.sums[at:], cols, accumulate)
	default:
		kernel.PanelF32(c, ldc, rows, hi-lo, w.k, w.panelF32(p), cols, accumulate)
	}
}

// packed is rows packed for products with weights of one type.
type packed struct {
	data   []float32
	each   int       // values a row
	scales []float32 // of integers, by row
	dtype  dtype.DType
}

// packRows packs rows [m,k], ld values apart, into the device's scratch.
func (d *Device) packRows(x []float32, ld, m, k int, dt dtype.DType) packed {
	p := packed{dtype: dt}
	switch dt {
	case dtype.BF16:
		p.each = kernel.PackedRowsBF16(1, k)
	case dtype.I8:
		p.each, p.scales = kernel.PackedRowsI8(1, k), grow(&d.scales, m)
	default:
		p.each = k
	}
	p.data = grow(&d.rows, m*p.each)
	pieces := kernel.RowBlocks(m)
	d.op = operands{data: x, ld: ld, n: m, width: k, packed: p}
	d.loop(pieces, d.grain(pieces, kernel.TileRows()*k), func(_ *Device, o *operands, _, lo, hi int) {
		r0, r1 := kernel.BlockRange(o.n, lo, hi)
		p := o.packed
		to, from := p.data[r0*p.each:], o.data[r0*o.ld:]
		switch p.dtype {
		case dtype.BF16:
			kernel.PackRowsBF16(to, from, o.ld, r1-r0, o.width)
		case dtype.I8:
			kernel.PackRowsI8(to, p.scales[r0:], from, o.ld, r1-r0, o.width)
		default:
			kernel.PackRowsF32(to, from, o.ld, r1-r0, o.width)
		}
	})
	return p
}

// grid is the work of a product: panels by runs of pieces of m rows.
type grid struct {
	m, pieces, split int
	f                panelBody
}

// panelBody is what a product does for panel p and rows lo ≤ i < hi.
type panelBody func(d *Device, o *operands, worker, p, lo, hi int)

// panels calls f for every panel with all rows, or, when panels are too few
// to keep the workers busy, with runs of pieces. The operands are in d.op.
func (d *Device) panels(panels, m int, f panelBody) {
	all, want := kernel.RowBlocks(m), 4*d.pool.Workers()
	split := 1
	if d.pool.Workers() > 1 && panels < want {
		split = max(1, min((want+panels-1)/max(panels, 1), all))
	}
	d.op.grid = grid{m, (all + split - 1) / split, split, f}
	d.loop(panels*split, max(1, panels*split/(8*d.pool.Workers())), func(d *Device, o *operands, worker, lo, hi int) {
		g := o.grid
		for t := lo; t < hi; t++ {
			p, from := t/g.split, t%g.split*g.pieces
			if to := min(from+g.pieces, kernel.RowBlocks(g.m)); from < to {
				r0, r1 := kernel.BlockRange(g.m, from, to)
				g.f(d, o, worker, p, r0, r1)
			}
		}
	})
}

// MatMulT implements tensor.Device. Each worker turns 32 columns of W, from
// the packed panels, into a panel whose reduction runs over the outputs. The
// scales of integers go into dy; the integers themselves are exact as
// bfloat16, so that gradients are rounded once, as with bfloat16 weights.
func (d *Device) MatMulT(dx, dy tensor.Tensor, tw tensor.Weight, accumulate bool) {
	w := tw.(*weight)
	if dx.Cols != w.k || dy.Cols != w.n || dx.Rows != dy.Rows {
		panic("cpu: transposed product of shapes that do not fit")
	}
	if w.n == 0 && !accumulate {
		clear(dx.Data)
	}
	if w.i8 != nil {
		scaled := d.Alloc(dy.Rows, dy.Cols)
		defer d.Free(scaled)
		d.op = operands{y: scaled, x: dy, weight: w}
		d.eachRow(dy.Rows, dy.Cols, func(_ *Device, o *operands, _, lo, hi int) {
			for i := lo; i < hi; i++ {
				kernel.ScaleColumns(o.y.Row(i), o.x.Row(i), o.weight.scales[:o.x.Cols])
			}
		})
		dy = scaled
	}
	for n0 := 0; n0 < w.n; n0 += reduceBlock {
		n1 := min(n0+reduceBlock, w.n)
		chunk := rowChunk(dx.Rows, n1-n0)
		for lo := 0; lo < dx.Rows; lo += chunk {
			hi := min(lo+chunk, dx.Rows)
			d.productT(dx.Slice(lo, hi), dy.Slice(lo, hi), w, n0, n1, accumulate || n0 > 0)
		}
	}
}

// productT adds the part of the outputs n0 ≤ n < n1.
func (d *Device) productT(dx, dy tensor.Tensor, w *weight, n0, n1 int, accumulate bool) {
	dt := dtype.BF16
	if w.f32 != nil {
		dt = dtype.F32
	}
	a := d.packRows(dy.Data[min(n0, len(dy.Data)):], w.n, dx.Rows, n1-n0, dt)
	d.op = operands{dx: dx, weight: w, packed: a, from: n0, to: n1, accumulate: accumulate}
	d.loop(kernel.Panels(w.k), 1, func(d *Device, o *operands, worker, lo, hi int) {
		for p := lo; p < hi; p++ {
			o.weight.panelT(o.dx, o.packed, o.from, o.to, p, &d.workers[worker], o.accumulate)
		}
	})
}

// panelT multiplies packed rows with panel p of the transposed rows n0 ≤ n <
// n1 of W.
func (w *weight) panelT(dx tensor.Tensor, a packed, n0, n1, p int, s *scratch, accumulate bool) {
	k0, n := p*kernel.PanelN, n1-n0
	cols, out := min(kernel.PanelN, w.k-k0), dx.Data[k0:]
	if a.dtype == dtype.F32 {
		panel := grow(&s.panel, n*kernel.PanelN)
		kernel.TransposePanelF32(panel, w.f32, w.n, w.k, n0, n1, k0)
		kernel.PanelF32(out, w.k, a.data, dx.Rows, n, panel, cols, accumulate)
		return
	}
	panel := grow(&s.panel16, kernel.Pairs(n)*kernel.PanelN*2)
	if w.i8 != nil {
		kernel.TransposePanelI8(panel, w.i8, w.n, w.k, n0, n1, k0)
	} else {
		kernel.TransposePanelBF16(panel, w.bf16, w.n, w.k, n0, n1, k0)
	}
	kernel.PanelBF16(out, w.k, a.data, dx.Rows, n, panel, cols, accumulate)
}

// GradWeight implements tensor.Device.
func (d *Device) GradWeight(dw, dy, x tensor.Tensor) {
	if dw.Rows != dy.Cols || dw.Cols != x.Cols || dy.Rows != x.Rows {
		panic("cpu: weight gradient of shapes that do not fit")
	}
	// Blocks of rows bound the scratch; their order is the order of the sum.
	for lo := 0; lo < x.Rows; lo += reduceBlock {
		hi := min(lo+reduceBlock, x.Rows)
		d.gradWeight(dw, dy.Slice(lo, hi), x.Slice(lo, hi))
	}
}

func (d *Device) gradWeight(dw, dy, x tensor.Tensor) {
	m, n := x.Rows, dw.Rows
	a := packed{data: grow(&d.rows, n*m), each: m}
	pieces := kernel.RowBlocks(n)
	d.op = operands{dy: dy, packed: a}
	d.loop(pieces, d.grain(pieces, kernel.TileRows()*m), func(_ *Device, o *operands, _, lo, hi int) {
		n, m := o.dy.Cols, o.dy.Rows
		c0, c1 := kernel.BlockRange(n, lo, hi)
		kernel.PackColumns(o.packed.data[c0*m:], o.dy.Data, n, m, c0, c1-c0)
	})
	d.op = operands{w: dw, x: x, packed: a}
	d.panels(kernel.Panels(dw.Cols), n, func(d *Device, o *operands, worker, p, lo, hi int) {
		m, k, c := o.x.Rows, o.w.Cols, p*kernel.PanelN
		cols := min(kernel.PanelN, k-c)
		panel := grow(&d.workers[worker].panel, m*kernel.PanelN)
		kernel.PanelOfRows(panel, o.x.Data, k, m, c, cols)
		kernel.PanelF32(o.w.Data[lo*k+c:], k, o.packed.data[lo*m:], hi-lo, m, panel, cols, true)
	})
}
