//go:build cuda && linux

package cuda

import (
	"barka/internal/cuda"
	"barka/internal/tensor"
)

// each records a kernel over n values.
func (d *Device) each(kernel string, n int, arguments ...cuda.Argument) {
	d.launch(kernel, d.blocks(n), 1, arguments...)
}

// Add implements tensor.Device.
func (d *Device) Add(y, x tensor.Tensor) {
	sameShape(y, x)
	d.begin("Add", y, x)
	d.each(d.typed("add", y, x), x.Len(), pointer(y), pointer(x), cuda.Size(x.Len()))
}

// Scale implements tensor.Device.
func (d *Device) Scale(x tensor.Tensor, a float32) {
	checkF32("Scale", x)
	d.begin("Scale", x)
	if a != 1 {
		d.each("scale", x.Len(), pointer(x), cuda.Float(a), cuda.Size(x.Len()))
	}
}

// Softcap implements tensor.Device.
func (d *Device) Softcap(x tensor.Tensor, c float32) {
	checkF32("Softcap", x)
	d.begin("Softcap", x)
	d.each("softcap", x.Len(), pointer(x), cuda.Float(c), cuda.Size(x.Len()))
}

// Activate implements tensor.Device.
func (d *Device) Activate(y, x tensor.Tensor, act tensor.Activation) {
	sameShape(y, x)
	d.begin("Activate", y, x)
	d.each(d.typed("activation", y, x), x.Len(), pointer(y), pointer(x), cuda.Size(x.Len()), cuda.Int(int(act)))
}

// ActivateBackward implements tensor.Device.
func (d *Device) ActivateBackward(dx, dy, x tensor.Tensor, act tensor.Activation) {
	sameShape(dx, x)
	sameShape(dy, x)
	d.begin("ActivateBackward", dx, dy, x)
	d.each(d.typed("activation_backward", dx, dy, x), x.Len(), pointer(dx), pointer(dy), pointer(x), cuda.Size(x.Len()),
		cuda.Int(int(act)))
}

// Gate implements tensor.Device. The kernel sees all values as one row, which it takes in pieces that
// its 32-bit counts hold.
func (d *Device) Gate(y, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(y, gate)
	sameShape(up, gate)
	d.begin("Gate", y, gate, up)
	const piece, perBlock = 1 << 30, threads * 8
	kernel := d.typed("gate", y, gate, up)
	for from := 0; from < y.Len(); from += piece {
		n, at := min(piece, y.Len()-from), cuda.Argument(y.Type.Size()*from)
		d.launch(kernel, (n+perBlock-1)/perBlock, 1, pointer(y)+at, pointer(gate)+at, pointer(up)+at, cuda.Int(n), cuda.Int(n),
			cuda.Int(int(act)))
	}
}

// GateBackward implements tensor.Device.
func (d *Device) GateBackward(dgate, dup, dy, gate, up tensor.Tensor, act tensor.Activation) {
	sameShape(dgate, gate)
	sameShape(dup, gate)
	sameShape(dy, gate)
	sameShape(up, gate)
	d.begin("GateBackward", dgate, dup, dy, gate, up)
	d.each(d.typed("gate_backward", dgate, dup, dy, gate, up), gate.Len(), pointer(dgate), pointer(dup), pointer(dy),
		pointer(gate), pointer(up), cuda.Size(gate.Len()), cuda.Int(int(act)))
}

// Dropout implements tensor.Device. The mask is the CPU's: a value is kept if a hash of the seed, the
// row's number and the column, as a fraction of 2³², is at least the rate.
func (d *Device) Dropout(y, x tensor.Tensor, rate float32, seed uint64, rows tensor.Numbers) {
	sameShape(y, x)
	if len(rows.Host) != x.Rows || rate < 0 || rate >= 1 {
		panic("cuda: Dropout: the row numbers do not fit, or the rate is not in [0, 1)")
	}
	d.begin("Dropout", y, x)
	at := d.numbers(rows)
	d.launch(d.typed("dropout", y, x), x.Rows, 1, pointer(y), pointer(x), cuda.Argument(at.at), cuda.Int(x.Cols), cuda.Argument(seed),
		cuda.Float(1/(1-rate)), cuda.Argument(uint64(float64(rate)*(1<<32))))
	d.drop(at)
}

// ScaleColumns implements tensor.Device.
func (d *Device) ScaleColumns(y, x, factor, bias tensor.Tensor) {
	sameShape(y, x)
	checkF32("ScaleColumns", y, x)
	checkRow("ScaleColumns", x.Cols, factor)
	if !bias.None() {
		checkRow("ScaleColumns", x.Cols, bias)
	}
	d.begin("ScaleColumns", y, x, factor)
	d.launch("scale_columns", x.Rows, 1, pointer(y), pointer(x), pointer(factor), pointer(bias), cuda.Int(x.Cols))
}

// ColumnDots implements tensor.Device.
func (d *Device) ColumnDots(dots, x, y tensor.Tensor) {
	sameShape(y, x)
	checkF32("ColumnDots", x, y)
	checkRow("ColumnDots", x.Cols, dots)
	d.begin("ColumnDots", dots, x, y)
	const columns = 32 // of a block
	d.launch("column_dots", (x.Cols+columns-1)/columns, 1, pointer(dots), pointer(x), pointer(y), cuda.Int(x.Rows), cuda.Int(x.Cols))
}
