package model_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
)

// TestDropoutGradients: with a dropout mask for every pair, the change of the loss along a
// direction agrees with the gradients.
func TestDropoutGradients(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			var want golden.Decoder
			golden.Load(t, name, &want)
			m, a := adapted(t, name)
			dev := m.Device()
			tokens, layout, rows, targets := batch(want.Sequences, want.Masks, []int{2, 4})
			drop := lora.Dropout{Rate: 0.3, Seed: 5}
			for i := range tokens {
				drop.Rows.Host = append(drop.Rows.Host, uint64(100+i))
			}
			pass := func() *nn.Pass {
				return &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), Dropout: drop}
			}
			a.Train(dev)
			if _, err := model.Backward(m, pass(), tokens, rows, targets, uniform(rows, 1)); err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				loss, err := model.Loss(m, pass(), tokens, rows, targets)
				if err != nil {
					t.Fatal(err)
				}
				return loss
			}
			along(t, m, a, "all", func(optim.Param) bool { return true }, loss)
			for _, p := range a.Pairs {
				along(t, m, a, p.Module, func(q optim.Param) bool {
					return &q.Value.Data[0] == &p.A.Data[0] || &q.Value.Data[0] == &p.B.Data[0]
				}, loss)
			}
		})
	}
}

// TestUpperLayersAlone: if only the second layer has adapters, their gradients are the same
// as with new adapters on the first layer too, which change nothing yet.
func TestUpperLayersAlone(t *testing.T) {
	for _, name := range golden.Trained {
		var want golden.Decoder
		golden.Load(t, name, &want)
		grads := func(pattern string) map[string][]float32 {
			m := open(t, name, 2, dtype.F32)
			a, err := model.NewAdapter(m, lora.Config{Rank: 2, Alpha: 4, Targets: lora.Targets{Pattern: pattern}}, 1)
			if err != nil {
				t.Fatal(err)
			}
			a.Train(m.Device())
			for _, p := range a.Pairs {
				r := rand.New(rand.NewPCG(uint64(len(p.Module)), 3))
				for i := range p.A.Data {
					p.A.Data[i] = r.Float32() - 0.5
				}
				p.Pack(m.Device())
			}
			backward(t, m, want.Sequences, want.Masks, []int{3, 4}, 1)
			out := map[string][]float32{}
			for _, p := range a.Params() {
				out[p.Name] = p.Grad.Data
			}
			return out
		}
		all, upper := grads(lora.AllLinear), grads(`.*layers\.1\..*`)
		if len(upper) == 0 || len(upper) >= len(all) {
			t.Fatalf("%s: %d tensors of %d", name, len(upper), len(all))
		}
		for n := range upper {
			if !slices.Equal(upper[n], all[n]) {
				t.Errorf("%s: the gradient of %s depends on the first layer's adapters", name, n)
			}
		}
	}
}

// TestAllLinearIsWrittenOut: an adapter on all-linear lists the kinds of its layers, as
// peft does, without the head.
func TestAllLinearIsWrittenOut(t *testing.T) {
	gated := []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
	neox := []string{"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}
	for name, want := range map[string][]string{"gemma2": gated, "llama": gated, "mistral": gated, "qwen2": gated,
		"gemma3": gated, "qwen3": gated, "hunyuan": gated, "smollm3": gated, "gptneox": neox} {
		m := open(t, name, 1, dtype.F32)
		a, err := model.NewAdapter(m, lora.Config{Rank: 2, Alpha: 2, Targets: lora.Targets{Pattern: lora.AllLinear}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Config.Targets.List, want) || a.Config.Targets.Pattern != "" || len(a.Pairs) != len(want)*m.Info().Layers {
			t.Errorf("%s: %v, %d pairs", name, a.Config.Targets, len(a.Pairs))
		}
	}
}
