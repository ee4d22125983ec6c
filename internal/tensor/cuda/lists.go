//go:build cuda && linux

package cuda

import (
	"fmt"

	"barka/internal/cuda"
	"barka/internal/tensor"
)

// checkRows panics unless each number of a list is a row of a tensor with the given rows.
func checkRows(operation string, l tensor.Ints, rows int) {
	for _, r := range l.Host {
		if r < 0 || int(r) >= rows {
			panic(fmt.Sprintf("cuda: %s: row %d is outside a tensor of %d", operation, r, rows))
		}
	}
}

// byRows runs the kernel for the tensors' types with a block for each number of a list, a row of a tensor with
// the given rows.
func (d *Device) byRows(operation, kernel string, y, x tensor.Tensor, list tensor.Ints, blocks, rows int) {
	if len(list.Host) != blocks || y.Cols != x.Cols {
		panic("cuda: " + operation + ": the rows do not fit")
	}
	checkRows(operation, list, rows)
	d.begin(operation, y, x)
	at := d.ints(list)
	d.launch(d.typed(kernel, y, x), blocks, 1, pointer(y), pointer(x), cuda.Argument(at.at), cuda.Int(y.Cols))
	d.drop(at)
}

// AddRows implements tensor.Device.
func (d *Device) AddRows(y, table tensor.Tensor, rows tensor.Ints) {
	d.byRows("AddRows", "add_rows", y, table, rows, y.Rows, table.Rows)
}

// Gather implements tensor.Device.
func (d *Device) Gather(y, x tensor.Tensor, rows tensor.Ints) {
	d.byRows("Gather", "gather", y, x, rows, y.Rows, x.Rows)
}

// Scatter implements tensor.Device.
func (d *Device) Scatter(y, x tensor.Tensor, rows tensor.Ints) {
	d.byRows("Scatter", "scatter", y, x, rows, x.Rows, y.Rows)
}

// ScatterAdd implements tensor.Device. A column's sums run over the rows in their order.
func (d *Device) ScatterAdd(y, x tensor.Tensor, rows tensor.Ints) {
	if len(rows.Host) != x.Rows || y.Cols != x.Cols {
		panic("cuda: ScatterAdd: the rows do not fit the input")
	}
	checkRows("ScatterAdd", rows, y.Rows)
	checkF32("ScatterAdd", y, x)
	d.begin("ScatterAdd", y, x)
	at := d.ints(rows)
	d.launch("scatter_add", (x.Cols+threads-1)/threads, 1, pointer(y), pointer(x), cuda.Argument(at.at), cuda.Int(x.Rows), cuda.Int(x.Cols))
	d.drop(at)
}

// SplitHeads implements tensor.Device.
func (d *Device) SplitHeads(q, k, v, qkv tensor.Tensor, heads int) {
	d.heads("SplitHeads", q, k, v, qkv, heads, false)
}

// JoinHeads implements tensor.Device.
func (d *Device) JoinHeads(qkv, q, k, v tensor.Tensor, heads int) {
	d.heads("JoinHeads", q, k, v, qkv, heads, true)
}

// heads copies each head's values from qkv to q, k and v, or back with join.
func (d *Device) heads(name string, q, k, v, qkv tensor.Tensor, heads int, join bool) {
	sameShape(q, k)
	sameShape(q, v)
	if qkv.Rows != q.Rows || qkv.Cols != 3*q.Cols || q.Cols%heads != 0 {
		panic("cuda: the heads do not fit the joint matrix")
	}
	d.begin(name, q, k, v, qkv)
	kernel := d.typed("heads", q, k, v, qkv)
	d.launch(kernel, q.Rows, 1, pointer(q), pointer(k), pointer(v), pointer(qkv), cuda.Int(q.Cols), cuda.Int(q.Cols/heads), flag(join))
}
