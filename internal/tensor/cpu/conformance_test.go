package cpu_test

import (
	"fmt"
	"math"
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
				conformance.Run(t, d, conformance.Options{})
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
		const outputs = 1500
		x, dy := fill(50, 96, 1), fill(50, outputs, 0.5)
		m := fill(outputs, 96, 0.3)
		w, err := d.Pack(tensor.Matrix{Rows: outputs, Cols: 96, DType: dtype.F32, Bytes: dtype.Bytes(m.Data)}, dtype.BF16)
		if err != nil {
			t.Fatal(err)
		}
		y, dx, dw, dh := d.Alloc(50, outputs), d.Alloc(50, 96), fill(outputs, 96, 0), d.Alloc(50, 96)
		d.MatMul(y, x, w, tensor.Tensor{}, false)
		d.MatMulT(dx, dy, w, false)
		d.GradWeight(dw, dy, x)
		losses := d.Alloc(50, 1)
		d.CrossEntropy(losses, dh, x, w, tensor.Ints{Host: make([]int32, 50)}, tensor.Host(50, 1, slices.Repeat([]float32{0.1}, 50)), 3)
		nll := slices.Clone(losses.Data[:50])
		scores := d.LogProbs(x, w, tensor.Ints{Host: make([]int32, 50)}, 3, true).Get()
		logp := scores.LogP
		for _, r := range scores.Ranks {
			logp = append(logp, float32(r))
		}
		for _, c := range d.TopK(x, w, 9, 3, nil, nil).Get() {
			for i, t := range c.Tokens {
				logp = append(logp, float32(t), c.LogP[i])
			}
		}
		nll = append(nll, logp...)
		return slices.Concat(y.Data, dx.Data, dw.Data, dh.Data, nll, []float32{float32(d.SumSquares(y).Get())})
	}
	want := run(1)
	for _, threads := range []int{2, 5} {
		if !slices.Equal(run(threads), want) {
			t.Errorf("%d workers give other bits", threads)
		}
	}
}

// TestBrokenLogits: a NaN in a row makes its probabilities NaN, but tokens are
// returned and no other row notices.
func TestBrokenLogits(t *testing.T) {
	d := cpu.New(2)
	defer d.Close()
	h, m := d.Alloc(3, 16), d.Alloc(700, 16)
	for i := range h.Data {
		h.Data[i] = 1
	}
	for i := range m.Data {
		m.Data[i] = float32(i % 31)
	}
	h.Row(1)[3] = float32(math.NaN())
	w := d.PackTensor(m)
	for i, c := range d.TopK(h, w, 4, 0, nil, nil).Get() {
		if len(c.Tokens) != 4 {
			t.Fatalf("row %d: %d tokens, want 4", i, len(c.Tokens))
		}
		if broken := c.LogP[0] != c.LogP[0]; broken != (i == 1) {
			t.Errorf("row %d: log-probability %g", i, c.LogP[0])
		}
	}
	scores := d.LogProbs(h, w, tensor.Ints{Host: []int32{5, 5, 5}}, 0, true).Get()
	logp, ranks := scores.LogP, scores.Ranks
	if logp[0] != logp[0] || logp[1] == logp[1] || logp[2] != logp[0] {
		t.Errorf("log-probabilities %g, want NaN for the row in the middle alone", logp)
	}
	if ranks[1] != 6 || ranks[2] != ranks[0] { // five tokens of equal (NaN) logits have lower ids
		t.Errorf("ranks %d, want 6 in the middle", ranks)
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
