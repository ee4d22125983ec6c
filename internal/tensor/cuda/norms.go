//go:build cuda && linux

package cuda

import (
	"barka/internal/cuda"
	"barka/internal/tensor"
)

// checkRow panics unless each weight of a norm is [1,cols].
func checkRow(operation string, cols int, ws ...tensor.Tensor) {
	for _, w := range ws {
		checkF32(operation, w)
		if w.Rows != 1 || w.Cols != cols {
			panic("cuda: " + operation + ": the weights do not fit the rows")
		}
	}
}

// RMSNorm implements tensor.Device.
func (d *Device) RMSNorm(y, x, w tensor.Tensor, eps float32, plusOne bool) {
	sameShape(y, x)
	checkRow("RMSNorm", x.Cols, w)
	d.begin("RMSNorm", y, x, w)
	d.launch(d.typed("rms_norm", y, x), x.Rows, 1, pointer(y), pointer(x), pointer(w), cuda.Int(x.Cols), cuda.Float(eps), flag(plusOne))
}

// RMSNormBackward implements tensor.Device.
func (d *Device) RMSNormBackward(dx, dy, x, w tensor.Tensor, eps float32, plusOne, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	checkRow("RMSNormBackward", x.Cols, w)
	d.begin("RMSNormBackward", dx, dy, x, w)
	d.launch(d.typed("rms_norm_backward", dx, dy, x), x.Rows, 1, pointer(dx), pointer(dy), pointer(x), pointer(w),
		cuda.Int(x.Cols), cuda.Float(eps), flag(plusOne), flag(accumulate))
}

// AddRMSNorm implements tensor.Device.
func (d *Device) AddRMSNorm(y, sum, x, dx tensor.Tensor, post, next tensor.RMSNorm) {
	sameShape(y, x)
	sameShape(sum, x)
	sameShape(dx, x)
	checkF32("AddRMSNorm", sum, x)
	checkRow("AddRMSNorm", x.Cols, next.W)
	if !post.W.None() {
		checkRow("AddRMSNorm", x.Cols, post.W)
	}
	d.begin("AddRMSNorm", y, sum, x, dx)
	d.launch(d.typed("add_rms_norm", y, dx), x.Rows, 1, pointer(y), pointer(sum), pointer(x), pointer(dx), pointer(post.W),
		pointer(next.W), cuda.Int(x.Cols), cuda.Float(post.Eps), cuda.Float(next.Eps), flag(post.PlusOne), flag(next.PlusOne))
}

// LayerNorm implements tensor.Device.
func (d *Device) LayerNorm(y, x, w, b tensor.Tensor, eps float32) {
	sameShape(y, x)
	checkRow("LayerNorm", x.Cols, w, b)
	d.begin("LayerNorm", y, x, w, b)
	d.launch(d.typed("layer_norm", y, x), x.Rows, 1, pointer(y), pointer(x), pointer(w), pointer(b), cuda.Int(x.Cols), cuda.Float(eps))
}

// LayerNormBackward implements tensor.Device.
func (d *Device) LayerNormBackward(dx, dy, x, w tensor.Tensor, eps float32, accumulate bool) {
	sameShape(dx, x)
	sameShape(dy, x)
	checkRow("LayerNormBackward", x.Cols, w)
	d.begin("LayerNormBackward", dx, dy, x, w)
	d.launch(d.typed("layer_norm_backward", dx, dy, x), x.Rows, 1, pointer(dx), pointer(dy), pointer(x), pointer(w),
		cuda.Int(x.Cols), cuda.Float(eps), flag(accumulate))
}

// Rotate implements tensor.Device.
func (d *Device) Rotate(x tensor.Tensor, positions tensor.Ints, r tensor.Rotary, inverse bool) {
	if len(positions.Host) != x.Rows || x.Cols != r.Heads*r.HeadDim || 2*len(r.Freqs) > r.HeadDim {
		panic("cuda: Rotate: the positions or the heads do not fit")
	}
	d.begin("Rotate", x)
	if len(r.Freqs) == 0 {
		return
	}
	at := d.ints(positions)
	d.launch(d.typed("rotary", x), x.Rows, 1, pointer(x), cuda.Argument(at.at), cuda.Argument(d.cached(r.Freqs)), cuda.Int(r.Heads),
		cuda.Int(r.HeadDim), cuda.Int(len(r.Freqs)), cuda.Int(x.Cols), cuda.Float(r.Scale), flag(inverse))
	d.drop(at)
}
