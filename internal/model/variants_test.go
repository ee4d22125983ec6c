package model_test

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
)

// variant is an adapter of testdata/models/lora-variants.
type variant struct {
	base, name string
	want       golden.Decoder // the sequences of the base, the loss and the steps of the variant
	tensors    *golden.Goldens
}

func variants(t *testing.T, run func(t *testing.T, v variant)) {
	for _, base := range slices.Sorted(maps.Keys(golden.Variants)) {
		for _, name := range golden.Variants[base] {
			t.Run(base+"-"+name, func(t *testing.T) {
				var v, of golden.Decoder
				golden.Load(t, base, &of)
				g := golden.Load(t, filepath.Join("lora-variants", base+"-"+name), &v)
				v.Sequences, v.Masks = of.Sequences, of.Masks
				run(t, variant{base, name, v, g})
			})
		}
	}
}

// open opens the base with the adapter.
func (v variant) open(t *testing.T, dt dtype.DType) (model.Decoder, *model.Adapter) {
	t.Helper()
	m := open(t, v.base, 2, dt)
	a, err := model.LoadAdapter(m, golden.Dir(filepath.Join("lora-variants", v.base+"-"+v.name)))
	if err != nil {
		t.Fatal(err)
	}
	return m, a
}

// TestVariantGradients compares logits, loss and every gradient of DoRA, rsLoRA and patterns
// with peft.
func TestVariantGradients(t *testing.T) {
	for _, level := range cpu.Levels() {
		variants(t, func(t *testing.T, v variant) {
			defer cpu.Use(level)()
			m, a := v.open(t, dtype.F32)
			for _, i := range []int{1, 4} {
				_, y := forward(t, m, v.want.Sequences[i:i+1])
				golden.Near(t, "adapter logits", y.Data, v.tensors.Tensor(fmt.Sprintf("adapter_logits.%d", i)), f32Tolerance)
			}
			a.Train(m.Device())
			loss := backward(t, m, v.want.Sequences, v.want.Masks, []int{0, 1, 2, 3, 4}, 1/float32(v.want.TrainedTokens))
			golden.Near(t, "loss", []float32{float32(loss / float64(v.want.TrainedTokens))}, []float32{float32(v.want.LoRALoss)}, 1e-5)
			left := map[string]bool{}
			for _, n := range v.tensors.Names() {
				left[n] = strings.HasPrefix(n, "grad.")
			}
			for _, p := range a.Params() {
				golden.Near(t, p.Name, p.Grad.Data, v.tensors.Tensor("grad."+p.Name), 1e-4)
				delete(left, "grad."+p.Name)
			}
			for n, is := range left {
				if is {
					t.Errorf("%s was not compared", n)
				}
			}
		})
	}
}

// TestVariantSteps follows one hundred optimiser steps of peft.
func TestVariantSteps(t *testing.T) {
	variants(t, func(t *testing.T, v variant) {
		m, a := v.open(t, dtype.F32)
		if len(v.want.Steps) != 100 {
			t.Fatalf("%d steps", len(v.want.Steps))
		}
		followWith(t, m, a, v.want, v.want.Steps, 5e-4, optim.Cosine(5, 100), 5e-4)
	})
}

// TestVariantDropoutGradients: with dropout, the change of the loss along a gradient agrees
// with its norm, for the magnitudes alone too. The norms of DoRA's rows are constants in
// gradients, so that those of A and B are not those of the loss; they are left out.
func TestVariantDropoutGradients(t *testing.T) {
	variants(t, func(t *testing.T, v variant) {
		m, a := v.open(t, dtype.F32)
		dev := m.Device()
		tokens, layout, rows, targets := batch(v.want.Sequences, v.want.Masks, []int{2, 4})
		for _, rate := range []float32{0, 0.3} {
			drop := lora.Dropout{Rate: rate, Seed: 5}
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
			along(t, m, a, fmt.Sprintf("dropout %g", rate), func(p optim.Param) bool {
				return !a.Config.DoRA || strings.HasSuffix(p.Name, "magnitude_vector")
			}, func() float64 {
				loss, err := model.Loss(m, pass(), tokens, rows, targets)
				if err != nil {
					t.Fatal(err)
				}
				return loss
			})
		}
	})
}

// along moves some parameters along their gradients, and compares the change of the loss with
// the gradients' norm.
func along(t *testing.T, m model.Decoder, a *model.Adapter, what string, some func(optim.Param) bool, loss func() float64) {
	t.Helper()
	dev, norm := m.Device(), 0.0
	for _, p := range a.Params() {
		if some(p) {
			norm += dev.SumSquares(p.Grad).Get()
		}
	}
	norm = math.Sqrt(norm)
	move := func(by float64) float64 {
		for _, p := range a.Params() {
			for j := range p.Value.Data {
				if some(p) {
					p.Value.Data[j] += float32(by / norm * float64(p.Grad.Data[j]))
				}
			}
		}
		a.Pack(dev)
		return loss()
	}
	const h = 1e-3
	up, down := move(h), move(-2*h)
	move(h)
	if slope := (up - down) / (2 * h); norm == 0 || math.Abs(slope-norm) > 0.02*norm {
		t.Errorf("%s: the loss rises by %g along a gradient of norm %g", what, slope, norm)
	}
}

// TestVariantRecomputed: loss and gradients have the same bits whether blocks keep their
// activations or are recomputed. Dropout is on.
func TestVariantRecomputed(t *testing.T) {
	variants(t, func(t *testing.T, v variant) {
		m, a := v.open(t, dtype.F32)
		recomputedEqualsKept(t, m, a, v.want)
	})
}

// TestNewDoRAChangesNothing: a new DoRA adapter has the norms of the base's rows as its
// magnitudes, for every type of packed weights, so that the model's logits stay.
func TestNewDoRAChangesNothing(t *testing.T) {
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		var want golden.Decoder
		golden.Load(t, "gptneox", &want)
		m := open(t, "gptneox", 2, dt)
		_, before := forward(t, m, want.Sequences[:1])
		a, err := model.NewAdapter(m, lora.Config{Rank: 2, Alpha: 4, DoRA: true, Targets: lora.Targets{Pattern: lora.AllLinear}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, after := forward(t, m, want.Sequences[:1])
		golden.Near(t, string(dt), after.Data, before.Data, 1e-5)
		if len(a.Params()) != 3*len(a.Pairs) {
			t.Errorf("%d trained tensors of %d pairs", len(a.Params()), len(a.Pairs))
		}
	}
}

// TestDoRASaves: what is saved is what was loaded.
func TestDoRASaves(t *testing.T) {
	variants(t, func(t *testing.T, v variant) {
		m, a := v.open(t, dtype.F32)
		dir := t.TempDir()
		if err := a.Save(m.Device(), dir); err != nil {
			t.Fatal(err)
		}
		from := golden.Dir(filepath.Join("lora-variants", v.base+"-"+v.name))
		want, got := golden.Tensors(t, filepath.Join(from, lora.WeightsFile)), golden.Tensors(t, filepath.Join(dir, lora.WeightsFile))
		if len(got) != len(want) {
			t.Fatalf("%d tensors, want %d", len(got), len(want))
		}
		for i, w := range want {
			if g := got[i]; g.Name != w.Name || !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.Data, w.Data) {
				t.Errorf("%s %v, want %s %v, or other values", g.Name, g.Shape, w.Name, w.Shape)
			}
		}
		if _, err := model.LoadAdapter(open(t, v.base, 1, dtype.F32), dir); err != nil {
			t.Error(err)
		}
	})
}
