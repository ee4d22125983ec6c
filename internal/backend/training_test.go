package backend

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/durable"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// TestLiveEvaluation: the scores of a model that is being trained are those that barka eval finds
// for the base and for the adapter that is written, and the adapter is that of a run without
// evaluations.
func TestLiveEvaluation(t *testing.T) {
	const base, benchmarks = "../../testdata/chain/models/gemma2", "../../testdata/chain/data/benchmarks"
	e := NewEngine(2, "f32", nil)
	data := filepath.Join(t.TempDir(), "data.jsonl")
	text := `{"messages":[{"role":"user","content":"Where is French used?"},{"role":"assistant","content":"In science."}]}` + "\n"
	if err := os.WriteFile(data, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := train.Defaults()
	o.Rank, o.Alpha, o.LR, o.MaxSteps, o.DType = 4, 8, 0.1, 3, "f32"
	evaluated := o
	evaluated.Eval, evaluated.EvalMaxSamples, evaluated.Every = "../../testdata/chain/data/tasks.txt", 5, 10
	run := func(o train.Options) (string, []*train.Scores) {
		in, err := e.Training(base, o, benchmarks)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		l, err := e.Outline(base, false)
		if err != nil {
			t.Fatal(err)
		}
		in.Tokenizer, in.Base, in.ModelDigest, in.Train = l.Tokenizer, base, "d", []train.Source{{Path: data}}
		var found []*train.Scores
		if in.Evaluator != nil {
			in.Evaluator = &keptScores{in.Evaluator, &found}
			w, err := in.Evaluator.Work(context.Background())
			if err != nil || w.Tokens < 100 || w.Memory < 1<<16 {
				t.Errorf("%+v, %v", w, err)
			}
		}
		at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
		if _, err := train.Run(context.Background(), o, in.Input, at); err != nil {
			t.Fatal(err)
		}
		return at.Out, found
	}
	out, found := run(evaluated)
	without, _ := run(o)
	const weights = "adapter_model.safetensors"
	all := func(string) bool { return false }
	if a := testfiles.Tree(t, out, all)[weights]; a == "" || a != testfiles.Tree(t, without, all)[weights] {
		t.Error("the adapter is another")
	}
	if len(found) != 2 {
		t.Fatalf("%d evaluations", len(found))
	}
	for i, adapter := range []string{"", out} {
		d, err := e.OpenDecoder(base, adapter)
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.EvalModel()
		if err != nil {
			t.Fatal(err)
		}
		selection, err := tasks.ParseList(evaluated.Eval)
		if err != nil {
			t.Fatal(err)
		}
		r, err := eval.Run(context.Background(), m, eval.Options{Tasks: selection, DataDir: benchmarks, OutputDir: t.TempDir(), MaxSamples: 5,
			NoDetails: true}, progress.Silent)
		if err != nil {
			t.Fatal(err)
		}
		want := scoresOf(r)
		if found[i].Questions != want.Questions || len(want.Scores) != 4 || math.IsNaN(want.Mean) {
			t.Errorf("%+v, want %+v", found[i], want)
		}
		for name, v := range want.Scores {
			if found[i].Scores[name] != v {
				t.Errorf("%s is %v, want %v", name, found[i].Scores[name], v)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found[0].Mean == found[1].Mean {
		t.Error("the training has changed no score: nothing is shown")
	}
	o.Eval = "nosuchtask"
	if _, err := e.Training(base, o, benchmarks); err == nil {
		t.Error("unknown tasks are not refused")
	}
}

// keptScores keeps what an Evaluator finds.
type keptScores struct {
	train.Evaluator
	found *[]*train.Scores
}

func (k *keptScores) Evaluate(ctx context.Context, adapter, dir string) (*train.Scores, error) {
	s, err := k.Evaluator.Evaluate(ctx, adapter, dir)
	*k.found = append(*k.found, s)
	return s, err
}
