// Package failing has a device for tests that fails on demand, as a GPU does that has no memory
// left or is lost.
package failing

import (
	"errors"

	"barka/internal/tensor"
)

// Device is a device that works until a chosen operation, and then fails in every one.
type Device struct {
	tensor.Device
	// After counts down with each operation that can fail; the device fails from 0 on. A
	// negative number never ends.
	After int
	// Full makes the failure a lack of memory: one operation fails, and the device works on.
	Full bool
}

// Err is the cause of the failures.
var Err = errors.New("the device was taken away")

// step fails if its time has come.
func (d *Device) step(operation string) {
	switch {
	case d.After == 0:
		if d.Full {
			d.After = -1
		}
		panic(&tensor.Failure{Device: d.Name(), Operation: operation, OutOfMemory: d.Full, Err: Err})
	case d.After > 0:
		d.After--
	}
}

// Alloc implements tensor.Device.
func (d *Device) Alloc(rows, cols int) tensor.Tensor {
	d.step("Alloc")
	return d.Device.Alloc(rows, cols)
}

// AllocAs implements tensor.Device.
func (d *Device) AllocAs(rows, cols int, t tensor.Type) tensor.Tensor {
	d.step("AllocAs")
	return d.Device.AllocAs(rows, cols, t)
}

// Grow implements tensor.Device.
func (d *Device) Grow(t tensor.Tensor, used, rows, cols int, typ tensor.Type) tensor.Tensor {
	d.step("Grow")
	return d.Device.Grow(t, used, rows, cols, typ)
}

// Back implements tensor.Device.
func (d *Device) Back(t tensor.Tensor, rows int) {
	d.step("Back")
	d.Device.Back(t, rows)
}

// Replay implements tensor.Device.
func (d *Device) Replay(key any, b tensor.Batch, f func(tensor.Batch) tensor.Tensor) tensor.Tensor {
	d.step("Replay")
	return d.Device.Replay(key, b, f)
}

// Upload implements tensor.Device.
func (d *Device) Upload(dst tensor.Tensor, src []float32) {
	d.step("Upload")
	d.Device.Upload(dst, src)
}

// Download implements tensor.Device.
func (d *Device) Download(dst []float32, src tensor.Tensor) {
	d.step("Download")
	d.Device.Download(dst, src)
}

// PackTensor implements tensor.Device.
func (d *Device) PackTensor(t tensor.Tensor) tensor.Weight {
	d.step("PackTensor")
	return d.Device.PackTensor(t)
}

// MatMul implements tensor.Device.
func (d *Device) MatMul(y, x tensor.Tensor, w tensor.Weight, bias tensor.Tensor, accumulate bool) {
	d.step("MatMul")
	d.Device.MatMul(y, x, w, bias, accumulate)
}

// MatMuls implements tensor.Device.
func (d *Device) MatMuls(x tensor.Tensor, ps tensor.Products) {
	d.step("MatMuls")
	d.Device.MatMuls(x, ps)
}

// MatMulT implements tensor.Device.
func (d *Device) MatMulT(dx, dy tensor.Tensor, w tensor.Weight, accumulate bool) {
	d.step("MatMulT")
	d.Device.MatMulT(dx, dy, w, accumulate)
}

// Linear implements tensor.Device.
func (d *Device) Linear(y, u, x, in tensor.Tensor, w tensor.Weight, bias tensor.Tensor, a tensor.Adapter) {
	d.step("Linear")
	d.Device.Linear(y, u, x, in, w, bias, a)
}

// LinearBackward implements tensor.Device.
func (d *Device) LinearBackward(dx, v, dy tensor.Tensor, w tensor.Weight, a tensor.Adapter, accumulate bool) {
	d.step("LinearBackward")
	d.Device.LinearBackward(dx, v, dy, w, a, accumulate)
}

// CrossEntropy implements tensor.Device.
func (d *Device) CrossEntropy(nll, dh, h tensor.Tensor, w tensor.Weight, targets tensor.Ints, weights tensor.Tensor, softcap float32) {
	d.step("CrossEntropy")
	d.Device.CrossEntropy(nll, dh, h, w, targets, weights, softcap)
}

// LogProbs implements tensor.Device. It fails when the result is read.
func (d *Device) LogProbs(h tensor.Tensor, w tensor.Weight, targets tensor.Ints, softcap float32,
	ranks bool) tensor.Pending[tensor.Scores] {
	scores := d.Device.LogProbs(h, w, targets, softcap, ranks)
	return tensor.Later(func() tensor.Scores {
		d.step("LogProbs")
		return scores.Get()
	})
}

// TopK implements tensor.Device.
func (d *Device) TopK(h tensor.Tensor, w tensor.Weight, k int, softcap float32, banned [][]int32,
	extra []tensor.Extra) tensor.Pending[[]tensor.Candidates] {
	d.step("TopK")
	return d.Device.TopK(h, w, k, softcap, banned, extra)
}

// SumSquares implements tensor.Device. It fails when the result is read.
func (d *Device) SumSquares(ts ...tensor.Tensor) tensor.Value {
	v := d.Device.SumSquares(ts...)
	return tensor.Later(func() float64 {
		d.step("SumSquares")
		return v.Get()
	})
}

// EachFull runs work with a lack of memory after 0, 1, 2, … operations, until none is met. It returns
// how many were met.
func (d *Device) EachFull(work func(after int)) int {
	defer func(full bool) { d.Full, d.After = full, -1 }(d.Full)
	for n := 0; ; n++ {
		d.Full, d.After = true, n
		if work(n); d.After >= 0 {
			return n
		}
	}
}

// Until runs work on the device with the failure after 0, 1, 2, … operations, until it has done
// everything. It returns the errors of the runs that failed.
func (d *Device) Until(work func() error) (failed []error) {
	for n := 0; ; n++ {
		d.After = n
		err := work()
		d.After = -1
		if err == nil {
			return failed
		}
		failed = append(failed, err)
	}
}
