//go:build cuda && linux

package cuda

import (
	"runtime"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

const (
	// reduceRows is how many rows of an I8 weight dx = dy·W reads as bfloat16 at a time. The sum over
	// the outputs runs in these blocks.
	reduceRows = 4096
	// gradRows is how many tokens dw = dyᵀ·x sums before it adds them to dw.
	gradRows = 2048
	// gradBytes bounds the sums of several such chunks that exist at once.
	gradBytes = 256 << 20
)

// MatMul implements tensor.Device.
func (d *Device) MatMul(y, x tensor.Tensor, tw tensor.Weight, bias tensor.Tensor, accumulate bool) {
	w := tw.(*weight)
	if x.Cols != w.k || y.Cols != w.n || x.Rows != y.Rows {
		panic("cuda: MatMul: the shapes do not fit")
	}
	if !bias.None() && bias.Len() != w.n {
		panic("cuda: MatMul: the bias does not fit the outputs")
	}
	d.begin("MatMul", y, x)
	o := cuda.Operands{Y: cuda.Pointer(y.Handle), X: cuda.Pointer(x.Handle), W: w.at, Bias: cuda.Pointer(bias.Handle),
		T: x.Rows, N: w.n, K: w.width, Ldx: w.width, Ldw: w.ld, Ldy: w.n, Flags: flags("MatMul", y, accumulate)}
	switch w.dtype {
	case dtype.F32:
		checkF32("MatMul with F32 weights", y)
		in := d.wide(x)
		o.X = in.at
		d.product(d.kernelFor(cuda.ProductF32, o), o)
		d.drop(in)
	case dtype.BF16:
		in := d.narrow(x, w.width)
		o.X = in.at
		d.product(d.kernelFor(cuda.ProductBF16, o), o)
		d.drop(in)
	case dtype.I8:
		checkF32("MatMul with I8 weights", y, x)
		o.Ldxs, o.Ldws, o.WScales = w.width/quantum, w.lds, w.scales
		o.X, o.XScales = d.take(x.Rows*w.width), d.take(4*x.Rows*o.Ldxs)
		d.launch("quantize_rows", d.pieceBlocks(x.Rows, w.k), 1, cuda.Argument(o.X), cuda.Argument(o.XScales), pointer(x),
			cuda.Int(w.k), cuda.Int(w.k), cuda.Int(o.Ldxs), cuda.Size(x.Rows), 0)
		d.product(d.kernelFor(cuda.ProductI8, o), o)
		d.give(o.X)
		d.give(o.XScales)
	}
	runtime.KeepAlive(w)
}

// flags tells a product how to store y. Sums of several products are F32.
func flags(operation string, y tensor.Tensor, accumulate bool) int {
	if accumulate {
		checkF32(operation+" with accumulate", y)
		return cuda.OutF32 | cuda.Accumulate
	}
	if y.Type == tensor.BF16 {
		return 0
	}
	return cuda.OutF32
}

// narrow returns the rows of x as BF16, ld values apart, with zeros between: x itself, if it is stored so.
// drop ends its use.
func (d *Device) narrow(x tensor.Tensor, ld int) list {
	if x.Type == tensor.BF16 && x.Cols == ld && x.Handle%16 == 0 {
		return list{at(x), false}
	}
	narrowed := d.take(2 * x.Rows * ld)
	d.convert(rows{narrowed, dtype.BF16, ld, ld}, rowsOf(x), x.Rows, 0)
	return list{narrowed, true}
}

// wide returns the values of x as F32: x itself, if it is stored so. drop ends its use.
func (d *Device) wide(x tensor.Tensor) list {
	if x.Type == tensor.F32 {
		return list{at(x), false}
	}
	widened := d.take(4 * x.Len())
	d.convert(rows{widened, dtype.F32, x.Cols, x.Cols}, rowsOf(x), x.Rows, 0)
	return list{widened, true}
}

// MatMulT implements tensor.Device.
func (d *Device) MatMulT(dx, dy tensor.Tensor, tw tensor.Weight, accumulate bool) {
	w := tw.(*weight)
	if dx.Cols != w.k || dy.Cols != w.n || dx.Rows != dy.Rows {
		panic("cuda: MatMulT: the shapes do not fit")
	}
	d.begin("MatMulT", dx, dy)
	o := cuda.Operands{Y: cuda.Pointer(dx.Handle), X: cuda.Pointer(dy.Handle), W: w.at, T: dx.Rows, N: w.k, K: w.n,
		Ldx: w.n, Ldw: w.ld, Ldy: w.k, Flags: flags("MatMulT", dx, accumulate)}
	switch w.dtype {
	case dtype.F32:
		checkF32("MatMulT with F32 weights", dx)
		in := d.wide(dy)
		o.X = in.at
		d.product(d.kernelFor(cuda.ProductF32T, o), o)
		d.drop(in)
	case dtype.BF16:
		o.Ldx = roundUp(w.n, 8)
		in := d.narrow(dy, o.Ldx)
		o.X = in.at
		d.product(d.kernelFor(cuda.ProductBF16T, o), o)
		d.drop(in)
	case dtype.I8:
		checkF32("MatMulT with I8 weights", dx, dy)
		d.integersT(dx, dy, w, accumulate)
	}
	runtime.KeepAlive(w)
}

// integersT computes dx (=|+=) dy·W for an I8 weight: the product with the rotated rows of W as bfloat16 is
// rotated back.
func (d *Device) integersT(dx, dy tensor.Tensor, w *weight, accumulate bool) {
	rotated := dx
	if accumulate {
		rotated.Handle = uintptr(d.take(4 * dx.Len()))
		defer d.give(cuda.Pointer(rotated.Handle))
	}
	ldx, ldw := roundUp(w.n, 8), roundUp(w.k, 8)
	x, rows := d.narrow(dy, ldx), d.take(2*min(w.n, reduceRows)*ldw)
	defer d.drop(x)
	for lo := 0; lo == 0 || lo < w.n; lo += reduceRows {
		n := min(reduceRows, w.n-lo)
		d.launch("dequantize_bf16", d.blocks(n*ldw), 1, cuda.Argument(rows), cuda.Argument(w.row(lo)), cuda.Argument(w.scale(lo)),
			cuda.Int(w.k), cuda.Int(w.lds), cuda.Int(ldw), cuda.Size(n))
		o := cuda.Operands{Y: cuda.Pointer(rotated.Handle), X: x.at + cuda.Pointer(2*lo), W: rows, T: dx.Rows, N: w.k, K: n,
			Ldx: ldx, Ldw: ldw, Ldy: w.k, Flags: flags("MatMulT", rotated, lo > 0)}
		d.product(d.kernelFor(cuda.ProductBF16T, o), o)
	}
	d.give(rows)
	d.rotate(dx, rotated, accumulate)
}

// GradWeight implements tensor.Device. The chunks of tokens are summed beside each other if that keeps
// the GPU busy, else one after the other. The bits are the same.
func (d *Device) GradWeight(dw, dy, x tensor.Tensor) {
	if dw.Rows != dy.Cols || dw.Cols != x.Cols || dy.Rows != x.Rows {
		panic("cuda: GradWeight: the shapes do not fit")
	}
	checkF32("GradWeight", dw)
	d.begin("GradWeight", dw, dy, x)
	if dw.Len() == 0 || x.Rows == 0 {
		return
	}
	if dy.Type != tensor.F32 || x.Type != tensor.F32 {
		d.gradNarrow(dw, dy, x)
		return
	}
	o := cuda.Operands{Y: cuda.Pointer(dw.Handle), X: cuda.Pointer(dy.Handle), W: cuda.Pointer(x.Handle), T: dw.Rows, N: dw.Cols,
		K: x.Rows, Ldx: dy.Cols, Ldw: x.Cols, Ldy: dw.Cols, Flags: cuda.OutF32 | cuda.Accumulate, Chunk: gradRows, Parts: 1}
	chunks := (x.Rows + gradRows - 1) / gradRows
	p := d.kernelFor(cuda.ProductGrad, o)
	if tiles := p.Tiles(o); chunks > 1 && tiles < 2*d.gpu.Processors && 4*chunks*dw.Len() <= gradBytes {
		o.Y, o.Parts, o.Flags = d.take(4*chunks*dw.Len()), chunks, cuda.OutF32
		d.product(p, o)
		d.launch("fold", d.blocks(dw.Len()), 1, pointer(dw), cuda.Argument(o.Y), cuda.Int(chunks), cuda.Size(dw.Len()))
		d.give(o.Y)
		return
	}
	for lo := 0; lo < x.Rows; lo += gradRows {
		o.X, o.W = cuda.Pointer(dy.Handle)+cuda.Pointer(4*lo*dy.Cols), cuda.Pointer(x.Handle)+cuda.Pointer(4*lo*x.Cols)
		o.K = min(gradRows, x.Rows-lo)
		d.product(p, o)
	}
}

// gradNarrow is GradWeight of operands that are BF16, of which as many rows as gradBytes hold are F32 at a
// time.
func (d *Device) gradNarrow(dw, dy, x tensor.Tensor) {
	most := max(1, gradBytes/(4*(dy.Cols+x.Cols)*gradRows)) * gradRows
	for lo := 0; lo < x.Rows; lo += most {
		hi := min(lo+most, x.Rows)
		dy, x := dy.Slice(lo, hi), x.Slice(lo, hi)
		wideDY, wideX := d.wide(dy), d.wide(x)
		dy.Type, dy.Handle = tensor.F32, uintptr(wideDY.at)
		x.Type, x.Handle = tensor.F32, uintptr(wideX.at)
		d.GradWeight(dw, dy, x)
		d.drop(wideDY)
		d.drop(wideX)
	}
}
