package cpu

import (
	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// rowBudget bounds the packed activations of one pass over a weight, in values.
// 8 MiB stay in the last-level cache while the panels of the weight stream through.
const rowBudget = 2 << 20

// reduceBlock is the length of the blocks of the sum in dx = dy·W, which runs over
// the outputs, and in dw = dyᵀ·x, which runs over the rows.
const reduceBlock = 4096

// rowChunk returns how many of m rows of k values are packed at a time.
func rowChunk(m, k int) int {
	step := kernel.TileRows()
	n := max(rowBudget/max(k, 1)/step*step, 4*step)
	return min(m, n)
}

// MatMul implements tensor.Device.
func (d *Device) MatMul(y, x tensor.Tensor, tw tensor.Weight, bias tensor.Tensor, accumulate bool) {
	w := tw.(*weight)
	if x.Cols != w.k || y.Cols != w.n || x.Rows != y.Rows {
		panic("cpu: MatMul: the shapes do not fit")
	}
	if !bias.None() && bias.Len() != w.n {
		panic("cpu: MatMul: the bias does not fit the outputs")
	}
	chunk := rowChunk(x.Rows, w.k)
	for lo := 0; lo < x.Rows; lo += chunk {
		hi := min(lo+chunk, x.Rows)
		d.product(y.Slice(lo, hi), x.Slice(lo, hi), w, bias.Data, accumulate)
	}
}

// productOperands are those of y = a·Wᵀ.
type productOperands struct {
	y          tensor.Tensor
	a          packed // the rows of x
	w          *weight
	bias       []float32 // empty without one
	accumulate bool
}

// product computes as many rows as fit the budget.
func (d *Device) product(y, x tensor.Tensor, w *weight, bias []float32, accumulate bool) {
	a := d.packRows(x.Data, x.Cols, x.Rows, w.k, w.DType())
	d.op.product = productOperands{y: y, a: a, w: w, bias: bias, accumulate: accumulate}
	d.panels(kernel.Panels(w.n), x.Rows, func(_ *Device, o *operands, _, p, lo, hi int) {
		m := &o.product
		c := m.y.Data[lo*m.w.n+p*kernel.PanelN:]
		if len(m.bias) > 0 {
			m.startWithBias(c, hi-lo, p)
		}
		m.w.panel(c, m.w.n, m.a, lo, hi, p, m.accumulate || len(m.bias) > 0)
	})
}

// startWithBias adds panel p of the bias to rows c, or copies it there. The product is then
// added to them.
func (m *productOperands) startWithBias(c []float32, rows, p int) {
	bias := m.bias[p*kernel.PanelN : min((p+1)*kernel.PanelN, len(m.bias))]
	for i := range rows {
		row := c[i*m.w.n:][:len(bias)]
		if m.accumulate {
			kernel.Add(row, bias)
		} else {
			copy(row, bias)
		}
	}
}

// panel multiplies the packed rows lo ≤ i < hi with panel p. It writes the result to
// c [hi-lo, 32], whose rows are ldc values apart, or adds it with accumulate.
func (w *weight) panel(c []float32, ldc int, a packed, lo, hi, p int, accumulate bool) {
	cols, rows := min(kernel.PanelN, w.n-p*kernel.PanelN), a.data[lo*a.each:]
	switch w.DType() {
	case dtype.BF16:
		kernel.PanelBF16(c, ldc, rows, hi-lo, w.k, w.panelBF16(p), cols, accumulate)
	case dtype.I8:
		kernel.PanelI8(c, ldc, rows, hi-lo, w.k, w.panelI8(p), cols, accumulate)
	default:
		kernel.PanelF32(c, ldc, rows, hi-lo, w.k, w.panelF32(p), cols, accumulate)
	}
}

// packed holds rows that are packed for products with weights of one type.
type packed struct {
	data  []float32
	each  int // values per row
	dtype dtype.DType
}

// packingOperands are those of packRows.
type packingOperands struct {
	x        []float32 // rows [m,k], ld values apart
	ld, m, k int
	to       packed
}

// packRows packs rows x [m,k], ld values apart, into the device's scratch.
func (d *Device) packRows(x []float32, ld, m, k int, dt dtype.DType) packed {
	p := packed{dtype: dt}
	switch dt {
	case dtype.BF16:
		p.each = kernel.PackedRowsBF16(1, k)
	case dtype.I8:
		p.each = kernel.PackedRowsI8(1, k)
	default:
		p.each = k
	}
	p.data = grow(&d.rows, m*p.each)
	blocks := kernel.RowBlocks(m)
	d.op.packing = packingOperands{x: x, ld: ld, m: m, k: k, to: p}
	d.loop(blocks, d.grain(blocks, kernel.TileRows()*k), func(d *Device, o *operands, worker, lo, hi int) {
		s := &o.packing
		r0, r1 := kernel.BlockRange(s.m, lo, hi)
		to, from := s.to.data[r0*s.to.each:], s.x[r0*s.ld:]
		switch s.to.dtype {
		case dtype.BF16:
			kernel.PackRowsBF16(to, from, s.ld, r1-r0, s.k)
		case dtype.I8:
			kernel.PackRowsI8(to, from, s.ld, r1-r0, s.k, grow(&d.workers[worker].scores, kernel.ScratchI8(s.k)))
		default:
			kernel.PackRowsF32(to, from, s.ld, r1-r0, s.k)
		}
	})
	return p
}

// grid is the work of a product: each panel with each of split runs of row blocks.
type grid struct {
	m      int // rows
	blocks int // row blocks per run
	split  int // runs per panel
	f      panelBody
}

// panelBody computes panel p for the rows lo ≤ i < hi.
type panelBody func(d *Device, o *operands, worker, p, lo, hi int)

// panels calls f for every panel with all rows. If there are too few panels to keep
// the workers busy, it calls f for every panel with each of several runs of rows.
func (d *Device) panels(panels, m int, f panelBody) {
	all, want := kernel.RowBlocks(m), 4*d.pool.Workers()
	split := 1
	if d.pool.Workers() > 1 && panels < want {
		split = max(1, min((want+panels-1)/max(panels, 1), all))
	}
	d.op.grid = grid{m: m, blocks: (all + split - 1) / split, split: split, f: f}
	d.loop(panels*split, max(1, panels*split/(8*d.pool.Workers())), func(d *Device, o *operands, worker, lo, hi int) {
		g := o.grid
		for t := lo; t < hi; t++ {
			p, from := t/g.split, t%g.split*g.blocks
			if to := min(from+g.blocks, kernel.RowBlocks(g.m)); from < to {
				r0, r1 := kernel.BlockRange(g.m, from, to)
				g.f(d, o, worker, p, r0, r1)
			}
		}
	})
}

// MatMuls implements tensor.Device.
func (d *Device) MatMuls(x tensor.Tensor, ps tensor.Products) {
	for i := range ps {
		if p := &ps[i]; p.W != nil {
			d.MatMul(p.Y, x, p.W, p.Bias, false)
		}
	}
}

// MatMulT implements tensor.Device. From the packed panels, each worker makes panels
// of 32 columns of W, with which the sum runs over the outputs. Integers are of rotated
// rows: as bfloat16, times their scales, they give a dx that is rotated back.
func (d *Device) MatMulT(dx, dy tensor.Tensor, tw tensor.Weight, accumulate bool) {
	w := tw.(*weight)
	if dx.Cols != w.k || dy.Cols != w.n || dx.Rows != dy.Rows {
		panic("cpu: MatMulT: the shapes do not fit")
	}
	if w.i8 == nil {
		d.matMulT(dx, dy, w, accumulate)
		return
	}
	rotated := dx
	if accumulate {
		rotated = d.Alloc(dx.Rows, dx.Cols)
		defer d.Free(rotated)
	}
	d.matMulT(rotated, dy, w, false)
	d.op.unrotate = unrotateOperands{dx: dx, rotated: rotated, add: accumulate}
	d.eachRow(dx.Rows, dx.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		u := &o.unrotate
		for i := lo; i < hi; i++ {
			kernel.Hadamard(u.rotated.Row(i))
			if u.add {
				kernel.Add(u.dx.Row(i), u.rotated.Row(i))
			}
		}
	})
}

// unrotateOperands are those of the last step of a product with rotated weights.
type unrotateOperands struct {
	dx, rotated tensor.Tensor
	add         bool
}

// matMulT computes dx (=|+=) dy·W for the rows of W as they are packed.
func (d *Device) matMulT(dx, dy tensor.Tensor, w *weight, accumulate bool) {
	if w.n == 0 && !accumulate {
		clear(dx.Data)
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

// productTOperands are those of dx = a·W.
type productTOperands struct {
	dx         tensor.Tensor
	a          packed // the rows of dy
	w          *weight
	n0, n1     int // outputs
	accumulate bool
}

// productT computes the sum over the outputs n0 ≤ n < n1.
func (d *Device) productT(dx, dy tensor.Tensor, w *weight, n0, n1 int, accumulate bool) {
	dt := dtype.BF16
	if w.f32 != nil {
		dt = dtype.F32
	}
	a := d.packRows(dy.Data[min(n0, len(dy.Data)):], w.n, dx.Rows, n1-n0, dt)
	d.op.productT = productTOperands{dx: dx, a: a, w: w, n0: n0, n1: n1, accumulate: accumulate}
	d.loop(kernel.Panels(w.k), 1, func(d *Device, o *operands, worker, lo, hi int) {
		m := &o.productT
		for p := lo; p < hi; p++ {
			m.w.panelT(m.dx, m.a, m.n0, m.n1, p, &d.workers[worker], m.accumulate)
		}
	})
}

// panelT multiplies packed rows with panel p of the transposed rows n0 ≤ n < n1 of W.
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
		panic("cpu: GradWeight: the shapes do not fit")
	}
	// Blocks of rows bound the scratch; their order is the order of the sum.
	for lo := 0; lo < x.Rows; lo += reduceBlock {
		hi := min(lo+reduceBlock, x.Rows)
		d.gradWeight(dw, dy.Slice(lo, hi), x.Slice(lo, hi))
	}
}

// gradWeightOperands are those of dw += dyᵀ·x. a holds the packed columns of dy.
type gradWeightOperands struct{ dw, dy, x, a tensor.Tensor }

// gradWeight adds the sum over the rows of dy and x.
func (d *Device) gradWeight(dw, dy, x tensor.Tensor) {
	m, n := x.Rows, dw.Rows
	op := gradWeightOperands{dw: dw, dy: dy, x: x, a: tensor.Host(n, m, grow(&d.rows, n*m))}
	blocks := kernel.RowBlocks(n)
	d.op.gradWeight = op
	d.loop(blocks, d.grain(blocks, kernel.TileRows()*m), func(_ *Device, o *operands, _, lo, hi int) {
		a, dy := o.gradWeight.a, o.gradWeight.dy // a [n,m], dy [m,n]
		c0, c1 := kernel.BlockRange(dy.Cols, lo, hi)
		kernel.PackColumns(a.Data[c0*dy.Rows:], dy.Data, dy.Cols, dy.Rows, c0, c1-c0)
	})
	d.op.gradWeight = op
	d.panels(kernel.Panels(dw.Cols), n, func(d *Device, o *operands, worker, p, lo, hi int) {
		g := &o.gradWeight
		m, k, c := g.x.Rows, g.dw.Cols, p*kernel.PanelN
		cols := min(kernel.PanelN, k-c)
		panel := grow(&d.workers[worker].panel, m*kernel.PanelN)
		kernel.PanelOfRows(panel, g.x.Data, k, m, c, cols)
		kernel.PanelF32(g.dw.Data[lo*k+c:], k, g.a.Data[lo*m:], hi-lo, m, panel, cols, true)
	})
}
