package cpu

import "barka/internal/tensor"

// Linear implements tensor.Device. All adapters are float32 here, so that the products are apart.
func (d *Device) Linear(y, u, x, in tensor.Tensor, w tensor.Weight, bias tensor.Tensor, a tensor.Adapter) {
	if !y.None() {
		d.MatMul(y, x, w, bias, false)
	}
	d.MatMul(u, in, a.A, tensor.Tensor{}, false)
	d.Scale(u, a.Scale)
	if !y.None() {
		d.MatMul(y, u, a.B, tensor.Tensor{}, true)
	}
}

// LinearBackward implements tensor.Device.
func (d *Device) LinearBackward(dx, v, dy tensor.Tensor, w tensor.Weight, a tensor.Adapter, accumulate bool) {
	d.MatMulT(dx, dy, w, accumulate)
	d.MatMulT(v, dy, a.B, false)
	d.Scale(v, a.Scale)
	d.MatMulT(dx, v, a.A, true)
}
