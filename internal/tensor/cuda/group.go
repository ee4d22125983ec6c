//go:build cuda && linux

package cuda

import (
	"runtime"
	"strings"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// mostGrouped is the most rows of x for which several products are one launch. More rows have tiles enough
// to keep the GPU busy.
const mostGrouped = 64

// MatMuls implements tensor.Device. With BF16 weights and few rows it is one launch. With more of them x
// becomes bfloat16 once.
func (d *Device) MatMuls(x tensor.Tensor, ps tensor.Products) {
	if d.grouped(x, &ps) {
		return
	}
	w, ok := ps[0].W.(*weight)
	if ok && ps[1].W != nil && w.dtype == dtype.BF16 && w.width == w.k && x.Type == tensor.F32 {
		d.begin("MatMuls", ps[0].Y, x)
		in := d.narrow(x, w.width)
		defer d.drop(in)
		x = tensor.Tensor{Rows: x.Rows, Cols: x.Cols, Type: tensor.BF16, Handle: uintptr(in.at)}
	}
	for _, p := range ps {
		if p.W != nil {
			d.MatMul(p.Y, x, p.W, p.Bias, false)
		}
	}
}

// grouped does the products with one launch, and reports whether it can.
func (d *Device) grouped(x tensor.Tensor, ps *tensor.Products) bool {
	if ps[1].W == nil || x.Rows == 0 || x.Rows > mostGrouped {
		return false
	}
	var members [3]cuda.Member
	first, outputs := ps[0].W.(*weight), 0
	for i := range ps {
		p := &ps[i]
		if p.W == nil {
			continue
		}
		w := p.W.(*weight)
		if w.dtype != dtype.BF16 || w.k != first.k || w.n == 0 || p.Y.Type != ps[0].Y.Type {
			return false
		}
		if x.Cols != w.k || p.Y.Cols != w.n || p.Y.Rows != x.Rows || !p.Bias.None() && p.Bias.Len() != w.n {
			panic("cuda: MatMuls: the shapes do not fit")
		}
		outputs += w.n
		members[i] = cuda.Member{Y: at(p.Y), W: w.at, Bias: cuda.Pointer(p.Bias.Handle), N: w.n, Ldw: w.ld, Ldy: w.n}
	}
	d.begin("MatMuls", ps[0].Y, ps[1].Y, ps[2].Y, x)
	in := d.narrow(x, first.width)
	o := cuda.Operands{X: in.at, T: x.Rows, N: outputs, K: first.width, Ldx: first.width, Flags: flags("MatMuls", ps[0].Y, false)}
	name := strings.Replace(d.chooseBF16(o).Name, "gemm_small", "gemm_group", 1)
	d.note()
	d.first(name).LaunchGroup(d.stream, o, members)
	d.drop(in)
	for i := range ps {
		runtime.KeepAlive(ps[i].W)
	}
	return true
}
