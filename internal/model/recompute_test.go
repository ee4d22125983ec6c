package model_test

import (
	"slices"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestRecomputedGradients: loss and gradients have the same bits whether all blocks keep their
// activations, the lowest one keeps its input alone, or all do. Dropout is on.
func TestRecomputedGradients(t *testing.T) {
	for _, name := range golden.Trained {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			t.Run(name+"/"+string(dt), func(t *testing.T) {
				var want golden.Decoder
				golden.Load(t, name, &want)
				m, a := adaptedAs(t, name, dt)
				recomputedEqualsKept(t, m, a, want)
			})
		}
	}
}

// recomputedEqualsKept compares passes in which no block, one, and all are recomputed.
func recomputedEqualsKept(t *testing.T, m model.Decoder, a *model.Adapter, want golden.Decoder) {
	t.Helper()
	dev := m.Device().(interface {
		tensor.Device
		Live() int64
	})
	tokens, layout, rows, targets := batch(want.Sequences, want.Masks, []int{1, 2, 4})
	drop := lora.Dropout{Rate: 0.1, Seed: 5}
	for i := range tokens {
		drop.Rows.Host = append(drop.Rows.Host, uint64(100+i))
	}
	run := func(recompute int) (float64, [][]float32) {
		a.Train(dev)
		p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), Dropout: drop, Recompute: recompute}
		loss, err := model.Backward(m, p, tokens, rows, targets, uniform(rows, 0.1))
		if err != nil {
			t.Fatal(err)
		}
		var grads [][]float32
		for _, p := range a.Params() {
			g := make([]float32, p.Grad.Len())
			dev.Download(g, p.Grad)
			grads = append(grads, g)
		}
		return loss.Get(), grads
	}
	loss, grads := run(0)
	live := dev.Live()
	for _, n := range []int{1, m.Info().Layers} {
		again, got := run(n)
		if again != loss {
			t.Errorf("%d blocks recomputed: loss %v, without %v", n, again, loss)
		}
		for i, p := range a.Params() {
			for j, g := range got[i] {
				if g != grads[i][j] {
					t.Fatalf("%d blocks recomputed: %s[%d] is %v, without %v", n, p.Name, j, g, grads[i][j])
				}
			}
		}
	}
	if dev.Live() != live {
		t.Errorf("%d bytes are live after recomputed passes, %d before", dev.Live(), live)
	}
}

// TestRecomputedWork: a block that is computed again leaves out the product whose result is
// its output, and the product of that layer's B. Gemma normalises this result, and needs it.
func TestRecomputedWork(t *testing.T) {
	for name, outputs := range map[string][]string{"llama": {"down_proj"}, "gemma2": nil, "gptneox": {"attention.dense", "dense_4h_to_h"}} {
		m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: cpu.NewMeter(), DType: dtype.F32})
		if err != nil {
			t.Fatal(err)
		}
		a, err := model.LoadAdapter(m, golden.Dir(name)+"/adapter")
		if err != nil {
			t.Fatal(err)
		}
		a.Train(m.Device())
		layout := tensor.Packed(7)
		work := func(recompute int) float64 {
			dev := m.Device().(*cpu.Meter)
			before := dev.FLOP()
			p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), Recompute: recompute}
			if _, err := model.Backward(m, p, make([]int32, 7), []int32{6}, []int32{1}, []float32{1}); err != nil {
				t.Fatal(err)
			}
			return dev.FLOP() - before
		}
		want := 0 // multiplications of a token
		for _, l := range m.Linears() {
			n, k := l.Dims()
			if l.LoRA != nil {
				want += k * l.LoRA.Rank()
			}
			if !slices.ContainsFunc(outputs, func(end string) bool { return strings.HasSuffix(l.Name, end) }) {
				want += n * k
				if l.LoRA != nil {
					want += n * l.LoRA.Rank()
				}
			}
		}
		if got := work(m.Info().Layers) - work(0); got != 2*7*float64(want) {
			t.Errorf("%s: blocks computed again take %g operations, expected %d", name, got, 2*7*want)
		}
	}
}
