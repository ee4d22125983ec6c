package model_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/lora"
	"barka/internal/lowrank"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
)

// started is an adapter of testdata/models/lora-inits before its first step.
type started struct {
	base, init string
	dir        string
	want       golden.Decoder
	products   *golden.Goldens
	m          model.Decoder
	a          *model.Adapter
	plain      []float32 // logits of the first sequence without the adapter
}

func inits(t *testing.T, run func(t *testing.T, s started)) {
	for _, name := range []string{"gemma2-pissa", "gptneox-pissa", "llama-olora", "gptneox-olora"} {
		t.Run(name, func(t *testing.T) {
			base, init, _ := strings.Cut(name, "-")
			s := started{base: base, init: init, dir: golden.Dir(filepath.Join("lora-inits", name))}
			var of golden.Decoder
			golden.Load(t, base, &of)
			s.products = golden.Load(t, filepath.Join("lora-inits", name), &s.want)
			s.want.Sequences, s.want.Masks = of.Sequences, of.Masks
			s.m = open(t, base, 2, dtype.F32)
			_, y := forward(t, s.m, of.Sequences[:1])
			s.plain = y.Data
			saved, err := lora.ReadConfig(s.dir)
			if err != nil {
				t.Fatal(err)
			}
			cfg := lora.Config{Rank: 4, Alpha: 2, RSLoRA: saved.RSLoRA, InitWeights: init, Targets: lora.Targets{Pattern: lora.AllLinear}}
			if s.a, err = model.NewAdapter(s.m, cfg, 1); err != nil {
				t.Fatal(err)
			}
			run(t, s)
		})
	}
}

// product returns B·A.
func product(p *lora.Pair) *mat.Dense {
	var d mat.Dense
	d.Mul(lowrank.From(p.B.Rows, p.B.Cols, p.B.Data), lowrank.From(p.A.Rows, p.A.Cols, p.A.Data))
	return &d
}

// TestInitsEqualPeft compares the first products with peft's, follows thirty of its optimiser
// steps, and compares the update of the saved adapter with that of the one that peft
// converted to an adapter of the base.
func TestInitsEqualPeft(t *testing.T) {
	inits(t, func(t *testing.T, s started) {
		for _, p := range s.a.Pairs {
			golden.Near(t, p.Module, lowrank.Values(product(p)), s.products.Tensor("product."+p.Module), 1e-4)
		}
		_, y := forward(t, s.m, s.want.Sequences[:1])
		golden.Near(t, "logits before the first step", y.Data, s.plain, 2e-6)
		followWith(t, s.m, s.a, s.want, s.want.Steps, 2e-3, optim.Cosine(3, 30), 1e-3)
		dir := t.TempDir()
		if err := s.a.Save(s.m.Device(), dir); err != nil {
			t.Fatal(err)
		}
		ours, peft := open(t, s.base, 1, dtype.F32), open(t, s.base, 1, dtype.F32)
		a, err := model.LoadAdapter(ours, dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := model.LoadAdapter(peft, s.dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range a.Pairs {
			if q := b.Pairs[i]; p.Module != q.Module || p.Scale != q.Scale || p.Rank() != q.Rank() {
				t.Errorf("%s with scale %g and rank %d, peft has %s, %g, %d", p.Module, p.Scale, p.Rank(), q.Module, q.Scale, q.Rank())
			}
			golden.Near(t, "update of "+p.Module, lowrank.Values(product(p)), lowrank.Values(product(b.Pairs[i])), 5e-3)
		}
		_, trained := forward(t, s.m, s.want.Sequences[:1])
		_, loaded := forward(t, ours, s.want.Sequences[:1])
		golden.Near(t, "logits of the saved adapter", loaded.Data, trained.Data, 1e-5)
	})
}

// TestInitsRecomputed: gradients have the same bits with recomputed blocks. With dropout, in
// which the part of the base has none, they agree with the change of the loss.
func TestInitsRecomputed(t *testing.T) {
	inits(t, func(t *testing.T, s started) {
		recomputedEqualsKept(t, s.m, s.a, s.want)
		tokens, layout, rows, targets := batch(s.want.Sequences, s.want.Masks, []int{2, 4})
		drop := lora.Dropout{Rate: 0.3, Seed: 5}
		for i := range tokens {
			drop.Rows.Host = append(drop.Rows.Host, uint64(100+i))
		}
		pass := func() *nn.Pass {
			return &nn.Pass{Dev: s.m.Device(), Layout: &layout, Positions: layout.Positions(), Dropout: drop}
		}
		s.a.Train(s.m.Device())
		if _, err := model.Backward(s.m, pass(), tokens, rows, targets, uniform(rows, 1)); err != nil {
			t.Fatal(err)
		}
		along(t, s.m, s.a, s.init, func(optim.Param) bool { return true }, func() float64 {
			loss, err := model.Loss(s.m, pass(), tokens, rows, targets)
			if err != nil {
				t.Fatal(err)
			}
			return loss
		})
	})
}

// TestIteratedPiSSA: with iterations the product nears that of the singular value
// decomposition, for every type of packed weights.
func TestIteratedPiSSA(t *testing.T) {
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		norms := func(init string) (sum float64, pairs int) {
			m := open(t, "llama", 2, dt)
			a, err := model.NewAdapter(m, lora.Config{Rank: 4, Alpha: 4, InitWeights: init, Targets: lora.Targets{Pattern: lora.AllLinear}}, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range a.Pairs {
				sum += math.Pow(mat.Norm(product(p), 2), 2)
			}
			return sum, len(a.Pairs)
		}
		exact, _ := norms(lora.PiSSA)
		iterated, _ := norms(fmt.Sprint(lora.PiSSAIterated, 16))
		if share := iterated / exact; !(share > 0.98 && share < 1.005) {
			t.Errorf("%s: 16 iterations find %g of the largest squares of singular values", dt, share)
		}
	}
}
