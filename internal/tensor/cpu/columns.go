package cpu

import (
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// columnOperands are those of operations on the columns of tensors.
type columnOperands struct {
	y, x         tensor.Tensor
	factor, bias []float32 // bias is nil if there is none
}

// columnBlock is the number of columns whose sums are held at once.
const columnBlock = 64

// ScaleColumns implements tensor.Device.
func (d *Device) ScaleColumns(y, x, factor, bias tensor.Tensor) {
	sameShape(y, x)
	if factor.Rows != 1 || factor.Cols != x.Cols || !bias.None() && (bias.Rows != 1 || bias.Cols != x.Cols) {
		panic("cpu: ScaleColumns: the factors or the bias do not fit")
	}
	d.op.columns = columnOperands{y: y, x: x, factor: factor.Data, bias: bias.Data}
	d.eachRow(x.Rows, x.Cols, func(_ *Device, o *operands, _, lo, hi int) {
		c := &o.columns
		for i := lo; i < hi; i++ {
			out := c.y.Row(i)
			for j, v := range c.x.Row(i) {
				out[j] = v * c.factor[j]
			}
			if c.bias != nil {
				kernel.Add(out, c.bias)
			}
		}
	})
}

// ColumnDots implements tensor.Device. A column's sum runs over the rows in their order,
// whatever the number of workers.
func (d *Device) ColumnDots(dots, x, y tensor.Tensor) {
	sameShape(y, x)
	if dots.Rows != 1 || dots.Cols != x.Cols {
		panic("cpu: ColumnDots: the sums do not fit")
	}
	d.op.columns = columnOperands{y: y, x: x, factor: dots.Data}
	d.loop((x.Cols+columnBlock-1)/columnBlock, 1, func(_ *Device, o *operands, _, lo, hi int) {
		c := &o.columns
		for b := lo; b < hi; b++ {
			from := b * columnBlock
			to := min(from+columnBlock, c.x.Cols)
			var sums [columnBlock]float64
			for i := range c.x.Rows {
				other := c.y.Row(i)[from:to]
				for j, v := range c.x.Row(i)[from:to] {
					sums[j] += float64(v) * float64(other[j])
				}
			}
			for j := from; j < to; j++ {
				c.factor[j] += float32(sums[j-from])
			}
		}
	})
}

// unpackedRows is the number of rows that Unpack unpacks at once, a multiple of a panel.
const unpackedRows = 4 * kernel.PanelN

// Unpack implements tensor.Device. A product with the identity unpacks some rows.
func (d *Device) Unpack(rows tensor.Tensor, tw tensor.Weight, from int) {
	w := tw.(*weight)
	if rows.Cols != w.k || from < 0 || from%unpackedRows != 0 || from+rows.Rows > w.n {
		panic("cpu: Unpack: the rows do not fit")
	}
	one := d.Alloc(min(rows.Rows, unpackedRows), min(rows.Rows, unpackedRows))
	defer d.Free(one)
	for lo := 0; lo < rows.Rows; lo += unpackedRows {
		n := min(unpackedRows, rows.Rows-lo)
		eye := tensor.Host(n, n, one.Data[:n*n])
		clear(eye.Data)
		for i := range n {
			eye.Data[i*n+i] = 1
		}
		d.MatMulT(rows.Slice(lo, lo+n), eye, w.view((from+lo)/kernel.PanelN, n), false)
	}
}

// view returns the view of n rows of w from a panel on.
func (w *weight) view(panel, n int) *weight {
	v := &weight{n: n, k: w.k}
	switch {
	case w.f32 != nil:
		v.f32 = w.panelF32(panel)
	case w.bf16 != nil:
		v.bf16 = w.panelBF16(panel)
	default:
		v.i8 = w.panelI8(panel)
	}
	return v
}
