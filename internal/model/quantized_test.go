package model_test

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tokenizer"
)

// TestQuantizedGradients compares the gradients of LoRA on a base in bfloat16 and in int8 with those
// on the base in float32, for the first tokens of the two READMEs, English and Arabic. At the start
// of a training B is 0, and only B has a gradient; later both have one, for which B is drawn.
// BARKA_REAL_MODEL names a model whose figures are wanted; otherwise it is testdata/chain's.
func TestQuantizedGradients(t *testing.T) {
	dir := os.Getenv("BARKA_REAL_MODEL")
	if dir == "" {
		dir = "../../testdata/chain/models/gemma2"
	}
	var seqs [][]int32
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../../README.md", "../../README.ar.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ids := tok.Encode(string(text[:min(len(text), 6000)]), true)
		seqs = append(seqs, ids[:min(len(ids), 400)])
	}
	for _, later := range []bool{false, true} {
		want := gradientsOf(t, dir, dtype.F32, seqs, later)
		for _, c := range []struct {
			dt               dtype.DType
			cosine, relative float64
		}{{dtype.BF16, 0.999, 0.05}, {dtype.I8, 0.99, 0.15}} {
			got := gradientsOf(t, dir, c.dt, seqs, later)
			var all direction
			worst, at := 1.0, ""
			for name, w := range want {
				var one direction
				one.add(got[name], w)
				all.add(got[name], w)
				if one.ww > 0 && one.cosine() < worst {
					worst, at = one.cosine(), name
				}
			}
			t.Logf("%s, trained before: %t: cosine %.5f, relative norm of the difference %.4f, ratio of norms %.4f; least cosine of a "+
				"matrix %.4f (%s)", c.dt, later, all.cosine(), all.relative(), math.Sqrt(all.gg/all.ww), worst, at)
			if all.cosine() < c.cosine || all.relative() > c.relative {
				t.Errorf("%s: cosine %g, relative difference %g; expected at least %g and at most %g", c.dt, all.cosine(), all.relative(),
					c.cosine, c.relative)
			}
		}
	}
}

// direction compares two vectors by sums of products.
type direction struct{ gw, gg, ww, dd float64 }

func (d *direction) add(g, w []float32) {
	for i := range w {
		a, b := float64(g[i]), float64(w[i])
		d.gw, d.gg, d.ww, d.dd = d.gw+a*b, d.gg+a*a, d.ww+b*b, d.dd+(a-b)*(a-b)
	}
}

func (d *direction) cosine() float64 { return d.gw / math.Sqrt(d.gg*d.ww) }

// relative is the norm of the difference divided by that of the second vector.
func (d *direction) relative() float64 { return math.Sqrt(d.dd / d.ww) }

// gradientsOf returns the gradients of an adapter of rank 16 on all layers of a model whose weights
// have a type. With later, B is drawn, of the size that it has after some hundred steps.
func gradientsOf(t *testing.T, dir string, dt dtype.DType, seqs [][]int32, later bool) map[string][]float32 {
	t.Helper()
	dev := cpu.New(0)
	defer dev.Close()
	m, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, err := model.NewAdapter(m, lora.Config{Rank: 16, Alpha: 16, Targets: lora.NewTargets([]string{lora.AllLinear})}, 5)
	if err != nil {
		t.Fatal(err)
	}
	a.Train(dev)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range a.Pairs {
		if later {
			values := make([]float32, p.B.Len())
			for i := range values {
				values[i] = float32(rng.NormFloat64() * 0.005)
			}
			dev.Upload(p.B, values)
		}
	}
	a.Pack(dev)
	for _, ids := range seqs {
		layout := tensor.Packed(len(ids))
		rows := make([]int32, len(ids)-1)
		for i := range rows {
			rows[i] = int32(i)
		}
		_, err := model.Backward(m, &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, ids, rows, ids[1:], uniform(rows,
			1/float32(len(rows))))
		if err != nil {
			t.Fatal(err)
		}
	}
	all := map[string][]float32{}
	for _, p := range a.Params() {
		values := make([]float32, p.Grad.Len())
		dev.Download(values, p.Grad)
		all[p.Name] = values
	}
	return all
}
