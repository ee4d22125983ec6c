package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/safetensors"
)

// TestNewFullChangesNothing: new weights of embeddings and head are copies, of tied and of
// separate heads and of every type of packed weights.
func TestNewFullChangesNothing(t *testing.T) {
	for name, modules := range map[string]lora.Strings{"gemma2": {"embed_tokens", "lm_head"}, "gptneox": {"embed_in", "embed_out"}} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
			var want golden.Decoder
			golden.Load(t, name, &want)
			m := open(t, name, 2, dt)
			_, before := forward(t, m, want.Sequences[:1])
			cfg := lora.Config{Rank: 2, Alpha: 4, ModulesToSave: modules, Targets: lora.Targets{Pattern: lora.AllLinear}}
			a, err := model.NewAdapter(m, cfg, 1)
			if name == "gptneox" && dt == dtype.I8 {
				badinputtest.Want(t, err, "embed_out", "choose dtype")
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			_, after := forward(t, m, want.Sequences[:1])
			tolerance := map[dtype.DType]float64{dtype.F32: 1e-6, dtype.BF16: 0.02, dtype.I8: 0.1}[dt] // they are float32 now
			golden.Near(t, name+" "+string(dt), after.Data, before.Data, tolerance)
			if len(a.Full) != 2 {
				t.Errorf("%s: %d modules", name, len(a.Full))
			}
		}
	}
}

// TestFullRefuses: modules that are not supported, and adapters of another vocabulary.
func TestFullRefuses(t *testing.T) {
	cfg := lora.Config{Rank: 2, Alpha: 4, ModulesToSave: lora.Strings{"norm"}, Targets: lora.Targets{Pattern: lora.AllLinear}}
	_, err := model.NewAdapter(open(t, "gemma2", 1, dtype.F32), cfg, 1)
	badinputtest.Want(t, err, "modules_to_save: norm is not supported", "embed_tokens and lm_head")

	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Dir("lora-variants/gemma2-full"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, lora.WeightsFile)
	ts := golden.Tensors(t, path)
	for i, x := range ts {
		if strings.HasSuffix(x.Name, "lm_head.weight") {
			ts[i].Shape = []int{x.Shape[0] - 1, x.Shape[1]}
			ts[i].Data = x.Data[:len(x.Data)-4*x.Shape[1]]
		}
	}
	if err := safetensors.Write(path, ts, nil); err != nil {
		t.Fatal(err)
	}
	_, err = model.LoadAdapter(open(t, "gemma2", 1, dtype.F32), dir)
	badinputtest.Want(t, err, "lm_head.weight has shape", "its vocabulary was extended")
}

// TestBackwardOf: weights that follow from the losses give the gradients of weights that are
// known before, with a trained head and without.
func TestBackwardOf(t *testing.T) {
	for _, modules := range []lora.Strings{nil, {"embed_tokens", "lm_head"}} {
		var want golden.Decoder
		golden.Load(t, "gemma2", &want)
		m := open(t, "gemma2", 2, dtype.F32)
		cfg := lora.Config{Rank: 2, Alpha: 4, ModulesToSave: modules, Targets: lora.Targets{Pattern: lora.AllLinear}}
		a, err := model.NewAdapter(m, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		tokens, layout, rows, targets := batch(want.Sequences, want.Masks, []int{1, 2, 4})
		weights := make([]float32, len(rows))
		for i := range weights {
			weights[i] = float32(i%3-1) * 0.3 // of either sign, and zero
		}
		gradients := func(backward func(p *nn.Pass) error) (all [][]float32) {
			a.Train(m.Device())
			if err := backward(&nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}); err != nil {
				t.Fatal(err)
			}
			for _, p := range a.Params() {
				g := make([]float32, p.Grad.Len())
				m.Device().Download(g, p.Grad)
				all = append(all, g)
			}
			return all
		}
		before := gradients(func(p *nn.Pass) error {
			_, err := model.Backward(m, p, tokens, rows, targets, weights)
			return err
		})
		after := gradients(func(p *nn.Pass) error {
			return model.BackwardOf(m, p, tokens, rows, targets, func(nll []float32) []float32 { return weights })
		})
		for i, p := range a.Params() {
			golden.Near(t, p.Name, after[i], before[i], 1e-5)
		}
	}
}
