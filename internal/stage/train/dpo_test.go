package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"barka/internal/dtype"
	"barka/internal/durable"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/optim"
	"barka/internal/progress"
	"barka/internal/tensor/cpu"
)

// dpoGolden is what TRL's trainer recorded.
type dpoGolden struct {
	Settings struct {
		Beta, Rate    float64
		Warmup, Batch int
	}
	Pairs []struct{ Prompt, Chosen, Rejected []int32 }
	Steps []struct {
		Loss, LR, Margin, Accuracy float64
		GradNorm                   float64 `json:"grad_norm"`
	}
}

// pairsOf writes pairs as a run's data.
func pairsOf(t *testing.T, g *dpoGolden, vocab int) *Data {
	t.Helper()
	w, err := createTokens(filepath.Join(t.TempDir(), "pairs.tokens"))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range g.Pairs {
		for _, answer := range [][]int32{p.Chosen, p.Rejected} {
			tokens := slices.Concat(p.Prompt, answer)
			if err := w.add(marked(tokens, [][2]int{{len(p.Prompt), len(tokens)}}), i+1); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := &Data{sets: []set{{Path: "pairs", Samples: len(w.index)}}}
	if d.tokens, err = w.finish(vocab); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.lay(Options{Objective: ObjectiveDPO}, []Source{{}})
	return d
}

// TestDPOFollowsTRL takes the steps of TRL's DPOTrainer: loss, gradient norm, margin and
// accuracy are its own, whether all pairs of a step are in one pass or each has its own.
func TestDPOFollowsTRL(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(golden.Dir("dpo"), "*.json"))
	if err != nil || len(paths) < 4 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		name := filepath.Base(path[:len(path)-len(".json")])
		for _, budget := range []int{1, 10000} {
			t.Run(fmt.Sprintf("%s in passes of %d", name, budget), func(t *testing.T) {
				var g dpoGolden
				data, err := os.ReadFile(path)
				if err == nil {
					err = json.Unmarshal(data, &g)
				}
				if err != nil || len(g.Steps) != 100 {
					t.Fatalf("%d steps, %v", len(g.Steps), err)
				}
				followDPO(t, name, &g, budget)
			})
		}
	}
}

func followDPO(t *testing.T, name string, g *dpoGolden, budget int) {
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dtype.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := Defaults()
	o.Objective, o.Beta, o.LR, o.MicroTokens, o.Batch = ObjectiveDPO, g.Settings.Beta, g.Settings.Rate, budget, g.Settings.Batch
	tr := &trainer{o: o, model: m, dev: dev, plan: &Estimate{}, objective: newObjective(o), total: len(g.Steps),
		env: durable.Env{Progress: progress.Silent}, schedule: optim.Cosine(g.Settings.Warmup, len(g.Steps))}
	if tr.adapter, err = model.LoadAdapter(m, golden.Dir(name)+"/adapter"); err != nil {
		t.Fatal(err)
	}
	tr.adapter.Train(dev)
	tr.opt = optim.New(dev, tr.adapter.Params(), optim.Config{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps})
	tr.data = pairsOf(t, g, m.Info().Vocab)
	// All steps are one epoch that takes the pairs in order, again and again.
	tr.course = newCourse(tr.data, o, 0)
	tr.course.size, tr.course.epoch = len(g.Steps)*o.Batch, 0
	for i := range tr.course.size {
		tr.course.units = append(tr.course.units, int32(i%len(g.Pairs)))
	}
	if tr.work, err = durable.NewWork(filepath.Join(t.TempDir(), "out")); err == nil {
		err = tr.work.Lock()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer tr.work.Close()
	if err := tr.objective.prepare(context.Background(), tr); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, want := range g.Steps {
		got, err := tr.one(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string][2]float64{"loss": {got.Loss, want.Loss}, "gradient norm": {got.GradNorm, want.GradNorm},
			"learning rate": {got.LR, want.LR}, "margin": {*got.Margin, want.Margin}, "accuracy": {*got.Accuracy, want.Accuracy}} {
			difference := math.Abs(pair[0]-pair[1]) / max(math.Abs(pair[1]), 0.1)
			if worst = max(worst, difference); difference > 1e-4 {
				t.Errorf("step %d: %s is %.9g, TRL has %.9g", i+1, what, pair[0], pair[1])
			}
		}
	}
	t.Logf("%d steps, largest relative difference %.1e", len(g.Steps), worst)
}
