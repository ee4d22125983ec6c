package cpu_test

import (
	"fmt"
	"slices"
	"testing"

	levels "barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/tensor"
	"barka/internal/tensor/conformance"
	"barka/internal/tensor/cpu"
)

// TestConformance runs the suite at every kernel level, on one worker and on
// more than there are cores.
func TestConformance(t *testing.T) {
	for _, level := range levels.Levels() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", level, threads), func(t *testing.T) {
				defer levels.Use(level)()
				d := cpu.New(threads)
				defer d.Close()
				conformance.Run(t, d)
			})
		}
	}
}

// TestThreadsDoNotMatter: products, gradients and losses are the same bits on
// any number of workers.
func TestThreadsDoNotMatter(t *testing.T) {
	run := func(threads int) []float32 {
		d := cpu.New(threads)
		defer d.Close()
		fill := func(rows, cols int, step float32) tensor.Tensor {
			x := d.Alloc(rows, cols)
			for i := range x.Data {
				x.Data[i] = float32((i*7919)%1000)/500*step - step
			}
			return x
		}
		x, dy := fill(50, 96, 1), fill(50, 200, 0.5)
		m := fill(200, 96, 0.3)
		w, err := d.Pack(tensor.Matrix{Rows: 200, Cols: 96, DType: dtype.F32, Bytes: dtype.Bytes(m.Data)}, dtype.BF16)
		if err != nil {
			t.Fatal(err)
		}
		y, dx, dw, dh := d.Alloc(50, 200), d.Alloc(50, 96), fill(200, 96, 0), d.Alloc(50, 96)
		d.MatMul(y, x, w, tensor.Tensor{}, false)
		d.MatMulT(dx, dy, w, false)
		d.GradWeight(dw, dy, x)
		nll := make([]float32, 50)
		d.CrossEntropy(nll, dh, x, w, make([]int32, 50), 3, 0.1)
		return slices.Concat(y.Data, dx.Data, dw.Data, dh.Data, nll, []float32{float32(d.SumSquares(y))})
	}
	want := run(1)
	for _, threads := range []int{2, 5} {
		if !slices.Equal(run(threads), want) {
			t.Errorf("%d workers give other bits", threads)
		}
	}
}

func BenchmarkDevice(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) {
			d := cpu.New(threads)
			defer d.Close()
			conformance.Bench(b, d)
		})
	}
}
