package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/dtype"
	"barka/internal/durable"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

// guarded is a run on questions about n places, which at can change before each step.
type guarded struct {
	progress.Reporter
	in   Input
	o    Options
	seed int64
}

func newGuarded(t *testing.T, n int) *guarded {
	t.Helper()
	const base = "../../../testdata/chain/models/gemma2"
	var lines []string
	for i := range n {
		lines = append(lines, `{"messages":[{"role":"user","content":"How is coffee served in place `+strings.Repeat("a", i+1)+
			`?"},{"role":"assistant","content":"In small cups."}]}`)
	}
	data := filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(data, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(2)
	t.Cleanup(dev.Close)
	tok, err := tokenizer.Load(base)
	if err != nil {
		t.Fatal(err)
	}
	open := func(dev tensor.Device) (model.Decoder, error) {
		return model.OpenDecoder(base, model.Options{Device: dev, DType: dtype.F32})
	}
	g := &guarded{Reporter: progress.Silent, o: Defaults(), seed: 3}
	g.in = Input{Tokenizer: tok, Base: "demo", ModelDigest: "d", Train: []Source{{Path: data}},
		Open:    func() (model.Decoder, error) { return open(dev) },
		Measure: func(dev tensor.Device, _ string) (model.Decoder, error) { return open(dev) }}
	g.o.Rank, g.o.Alpha, g.o.DType, g.o.Batch, g.o.LR = 4, 8, "f32", 2, 1e-4
	return g
}

// spiked is an objective whose loss is too large for some of the optimiser steps.
type spiked struct {
	objective
	t     *trainer
	steps map[int]bool
}

func (s *spiked) backward(t *trainer, p *pass, part part) (tensor.Value, error) {
	v, err := s.objective.backward(t, p, part)
	if s.steps[t.step+1] {
		v = tensor.Known(v.Get() + 50)
	}
	return v, err
}

// run runs with a loss that is too large in some steps.
func (g *guarded) run(t *testing.T, out string, p progress.Reporter, steps ...int) (*State, error) {
	t.Helper()
	wrap = func(o objective) objective {
		s := &spiked{objective: o, steps: map[int]bool{}}
		for _, n := range steps {
			s.steps[n] = true
		}
		return s
	}
	defer func() { wrap = nil }()
	return Run(context.Background(), g.o, g.in, durable.Env{Out: out, Seed: g.seed, Progress: p})
}

// noted keeps the texts of events and notes, and calls do after each step.
type noted struct {
	progress.Reporter
	text string
	step int
	do   func(step int)
}

func (n *noted) Event(name, text string, v any) { n.text += name + ": " + text + "\n" }

func (n *noted) Add(k int64) {
	if n.step += int(k); n.do != nil {
		n.do(n.step)
	}
}

// TestDivergence: a run whose loss stays too large goes back to a checkpoint from before, goes
// on without the batches of the rise, and names the rows. The result does not depend on which
// checkpoints there are, nor on kills. A single large loss is no divergence.
func TestDivergence(t *testing.T) {
	g := newGuarded(t, 40)
	dir := t.TempDir()
	spikes := []int{15, 16, 17}
	var want map[string]string
	for _, save := range []int{2, 7, 13} {
		g.o.SaveSteps, g.o.Keep = save, 20
		out := filepath.Join(dir, "out", string(rune('a'+save)))
		n := &noted{Reporter: progress.Silent}
		left := filepath.Join(dir, "left", string(rune('a'+save)))
		n.do = func(step int) {
			if step == 18 { // the first steps after the setback
				if err := os.CopyFS(left+".partial", os.DirFS(out+".partial")); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, err := g.run(t, out, n, spikes...)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Setbacks) != 1 || s.Setbacks[0] != (setback{14, 17}) || s.Steps != 20 ||
			!strings.Contains(n.text, "setback: step 17: the loss has risen from about") || !strings.Contains(n.text, "data.jsonl row ") ||
			!strings.Contains(n.text, "leaves out steps 14 to 17") {
			t.Errorf("%+v\n%s", s, n.text)
		}
		files := testfiles.Tree(t, out, func(name string) bool {
			return strings.Contains(name, "tfevents") || strings.HasPrefix(name, checkpointDir) && strings.HasSuffix(name, ".json")
		})
		if want == nil {
			want = files
		}
		testfiles.Same(t, "other checkpoints", files, want)
		if _, err := g.run(t, left, &noted{Reporter: progress.Silent}, spikes...); err != nil {
			t.Fatal(err)
		}
		testfiles.Same(t, "killed", testfiles.Tree(t, left, func(name string) bool {
			return strings.Contains(name, "tfevents") || strings.HasPrefix(name, checkpointDir) && strings.HasSuffix(name, ".json")
		}), want)
	}
	skipped := 0
	for i, line := range strings.Split(strings.TrimSpace(want[metricsFile]), "\n") {
		var m Metrics
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Step != i+1 {
			t.Fatalf("line %d: %s, %v", i+1, line, err)
		}
		if m.Skipped {
			skipped++
		}
	}
	if skipped != 4 {
		t.Errorf("%d steps are skipped, want 4", skipped)
	}
	single := filepath.Join(dir, "single")
	if s, err := g.run(t, single, progress.Silent, 13, 15, 16, 18); err != nil || len(s.Setbacks) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	g.o.SaveSteps = 0
	none := filepath.Join(dir, "none")
	if _, err := g.run(t, none, progress.Silent, spikes...); err == nil || !strings.Contains(err.Error(), "the same command begins again") {
		t.Errorf("without a checkpoint: %v", err)
	}
	g.o.SaveSteps = 7
	if s, err := g.run(t, none, progress.Silent, spikes...); err != nil || len(s.Setbacks) != 1 {
		t.Errorf("begun again: %+v, %v", s, err)
	}
	g.o.SaveSteps = 1
	if _, err := g.run(t, filepath.Join(dir, "often"), progress.Silent, 12, 13, 14, 15, 16, 17, 18, 19, 20); err != nil {
		t.Errorf("until the end: %v", err)
	}
}

// poisoned makes the loss of one unit NaN.
type poisoned struct {
	objective
	sample int32
}

func (p *poisoned) backward(t *trainer, q *pass, part part) (tensor.Value, error) {
	v, err := p.objective.backward(t, q, part)
	for _, i := range q.samples {
		if i == p.sample {
			v = tensor.Known(math.NaN())
		}
	}
	return v, err
}

func (p *poisoned) loss(t *trainer, d *Data, units []int) (float64, float64, error) {
	sum, weight, err := p.objective.loss(t, d, units)
	if units[0] == int(p.sample) {
		sum = math.NaN()
	}
	return sum, weight, err
}

// TestNaNIsNamed: the row whose loss is NaN is named, and no other.
func TestNaNIsNamed(t *testing.T) {
	g := newGuarded(t, 6)
	g.o.Batch = 6
	wrap = func(o objective) objective { return &poisoned{o, 4} }
	defer func() { wrap = nil }()
	_, err := Run(context.Background(), g.o, g.in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent})
	if err == nil || !strings.Contains(err.Error(), "not finite; the loss of "+g.in.Train[0].Path+" row 5 is not") {
		t.Errorf("%v", err)
	}
}

// still is an objective without a gradient.
type still struct{ objective }

func (s *still) backward(t *trainer, p *pass, part part) (tensor.Value, error) {
	part.weight = 0
	return s.objective.backward(t, p, part)
}

// TestZeroGradient: adapters that do not move are an error.
func TestZeroGradient(t *testing.T) {
	g := newGuarded(t, 6)
	wrap = func(o objective) objective { return &still{o} }
	defer func() { wrap = nil }()
	_, err := Run(context.Background(), g.o, g.in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent})
	if err == nil || !strings.Contains(err.Error(), "step 1: the gradient of all adapters is 0") {
		t.Errorf("%v", err)
	}
}
