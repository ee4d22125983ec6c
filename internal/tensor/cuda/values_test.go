//go:build cuda && linux

package cuda

import (
	"math"
	"slices"
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// Dropout keeps and scales the values that the CPU's does, bit for bit.
func TestDropoutIsTheCPUs(t *testing.T) {
	d, host := open(t), cpu.New(1)
	defer host.Close()
	const rows, cols = 7, 613
	values, numbers := make([]float32, rows*cols), make([]uint64, rows)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	for i := range numbers {
		numbers[i] = uint64(i)<<40 + 12345
	}
	for _, rate := range []float32{0, 0.05, 0.1, 0.5, 0.99} {
		run := func(dev tensor.Device) []float32 {
			x, got := dev.Alloc(rows, cols), make([]float32, rows*cols)
			dev.Upload(x, values)
			dev.Dropout(x, x, rate, 0xfedcba9876543210, tensor.Numbers{Host: numbers})
			dev.Download(got, x)
			return got
		}
		if got, want := run(d), run(host); !slices.Equal(got, want) {
			t.Errorf("rate %g: the values are not those of the CPU", rate)
		}
	}
}

// Functions of single values keep float32's digits over the range of inputs, and rows of more values
// than a block has threads are whole.
func TestValuesAgainstCPU(t *testing.T) {
	d, host := open(t), cpu.New(1)
	defer host.Close()
	const rows, cols = 3, 1031
	x, dy := make([]float32, rows*cols), make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(math.Sinh(float64(i-rows*cols/2) / 300)) // of both signs, from 1e-3 to 80
		dy[i] = float32(1 + i%3)
	}
	for _, c := range []struct {
		name string
		run  func(dev tensor.Device, y, dy, x tensor.Tensor)
	}{
		{"GELU tanh", func(dev tensor.Device, y, _, x tensor.Tensor) { dev.Activate(y, x, tensor.GELUTanh) }},
		{"GELU erf", func(dev tensor.Device, y, _, x tensor.Tensor) { dev.Activate(y, x, tensor.GELUErf) }},
		{"SiLU", func(dev tensor.Device, y, _, x tensor.Tensor) { dev.Activate(y, x, tensor.SiLU) }},
		{"GELU tanh backward", func(dev tensor.Device, y, dy, x tensor.Tensor) { dev.ActivateBackward(y, dy, x, tensor.GELUTanh) }},
		{"GELU erf backward", func(dev tensor.Device, y, dy, x tensor.Tensor) { dev.ActivateBackward(y, dy, x, tensor.GELUErf) }},
		{"SiLU backward", func(dev tensor.Device, y, dy, x tensor.Tensor) { dev.ActivateBackward(y, dy, x, tensor.SiLU) }},
		{"soft cap", func(dev tensor.Device, y, _, x tensor.Tensor) { dev.Copy(y, x); dev.Softcap(y, 30) }},
		{"gate", func(dev tensor.Device, y, dy, x tensor.Tensor) { dev.Gate(y, x, dy, tensor.GELUTanh) }},
	} {
		run := func(dev tensor.Device) []float32 {
			y, pdy, px, got := dev.Alloc(rows, cols), dev.Alloc(rows, cols), dev.Alloc(rows, cols), make([]float32, rows*cols)
			dev.Upload(px, x)
			dev.Upload(pdy, dy)
			c.run(dev, y, pdy, px)
			dev.Download(got, y)
			return got
		}
		got, want := run(d), run(host)
		for i, w := range want {
			if diff := math.Abs(float64(got[i] - w)); !(diff <= 2e-6*math.Abs(float64(w))+1e-6) {
				t.Fatalf("%s: f(%g) is %g, on the CPU %g", c.name, x[i], got[i], w)
			}
		}
	}
}
