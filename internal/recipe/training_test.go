package recipe

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// trainingRecipe writes a recipe that only trains, with data and testdata/chain's files beside
// it, and opens it.
func trainingRecipe(t *testing.T, inputs, block string) (*Runner, *Recipe) {
	t.Helper()
	dir := t.TempDir()
	path := testfiles.Chain(t, dir)
	files := map[string]string{
		filepath.Base(path): "name: objectives\ndtype: f32\nmerge: false\nmodels:\n  base: models/gemma2\ninputs: {" + inputs + "}\n" +
			"train:\n  rank: 4\n  alpha: 8\n  batch: 2\n  lr: 0.002\n" + block,
		"chats.jsonl": `{"messages":[{"role":"user","content":"Where?"},{"role":"assistant","content":"In Oman."}]}` + "\n" +
			`{"messages":[{"role":"user","content":"How is coffee served?"},{"role":"assistant","content":"In small cups, with dates."}]}` + "\n" +
			`{"messages":[{"role":"user","content":"Why?"},{"role":"assistant","content":"Custom."}]}` + "\n",
		"texts.jsonl": `{"id":"1","text":"Coffee is served in small cups."}` + "\n" + `{"id":"2","text":"With dates, in Oman."}` + "\n",
		"pairs.jsonl": `{"prompt":"Is it sweet?","chosen":"No.","rejected":"Yes, very."}` + "\n" +
			`{"prompt":"Is it strong?","chosen":"Yes.","rejected":"No, it is weak."}` + "\n",
		"prompts.txt": "How is coffee served?\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{Out: filepath.Join(t.TempDir(), "out"), Engine: backend.NewEngine(2, r.DType, nil), Say: func(Step) {},
		Progress: progress.Silent, Log: slog.New(slog.DiscardHandler)}, r
}

// TestObjectivesInRecipes runs each objective and its settings from a recipe, and looks for them
// in the run's identity. The same recipe with another value is refused.
func TestObjectivesInRecipes(t *testing.T) {
	for name, c := range map[string]struct{ inputs, block, units string }{
		"sft":       {"train: chats.jsonl, validation: chats.jsonl", "  patience: 3\n", "3 conversations"},
		"neftune":   {"train: chats.jsonl", "  neftune: 5\n", "3 conversations"},
		"hf-legacy": {"train: chats.jsonl", "  loss_norm: hf-legacy\n  micro_batch: 1\n", "3 conversations"},
		"text":      {"train: texts.jsonl", "  objective: text\n  max_length: 16\n", "packs of texts"},
		"passages":  {"passages: texts.jsonl", "  objective: text\n", "1 packs of texts"},
		"dpo":       {"train: pairs.jsonl, validation: pairs.jsonl", "  objective: dpo\n  beta: 0.3\n", "2 pairs"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := trainingRecipe(t, c.inputs, c.block)
			if err := r.Problems(); err != nil {
				t.Fatal(err)
			}
			checked, err := w.Check(context.Background(), r)
			if err != nil || checked.Err() != nil {
				t.Fatal(err, checked.Err())
			}
			plan, err := w.Plan(context.Background(), r, checked)
			if err != nil || !strings.Contains(plan[0].Work, c.units) || plan[0].FLOP == 0 {
				t.Errorf("planned %+v, %v", plan, err)
			}
			if err := w.Run(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			var s train.State
			if err := badinput.ReadJSON(filepath.Join(w.Out, adapterDir, train.StateFile), &s); err != nil {
				t.Fatal(err)
			}
			var o train.Options
			if err := json.Unmarshal(s.Options, &o); err != nil {
				t.Fatal(err)
			}
			want, _ := r.training()
			if o.Objective != want.Objective || o.NEFTune != want.NEFTune || o.LossNorm != want.LossNorm || o.Beta != want.Beta ||
				o.MicroBatch != want.MicroBatch || math.IsNaN(s.FinalLoss) || (s.BestVal != nil) != strings.Contains(c.inputs, "validation") {
				t.Errorf("%s with validation loss %v", s.Options, s.BestVal)
			}
			r.Train.Beta, r.Train.NEFTune, r.Train.MicroBatch = 0.7, 1, 3
			if err := w.Run(context.Background(), r); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), "neftune") {
				t.Errorf("other settings: %v", err)
			}
		})
	}
}

// TestTrainingInputs: a recipe without the data of its objective, or with data that it would not
// use, is refused with the line.
func TestTrainingInputs(t *testing.T) {
	const mix = "mix: {validation: 0.1}\n"
	for _, c := range []struct{ inputs, block, want string }{
		{"", "", "train has no data; add a mix block, or inputs: train"},
		{"", "  objective: text\n", "objective text has no texts"},
		{"", "  objective: dpo\n" + mix, "objective dpo has no pairs; add inputs: train"},
		{"train: chats.jsonl, mix: {a: chats.jsonl}", mix, "inputs.train takes the place of the mix"},
		{"validation: chats.jsonl, mix: {a: chats.jsonl}", mix, "inputs.validation takes the place of the mix's validation rows"},
		{"train: chats.jsonl", "  patience: 2\n", "patience has no validation set"},
		{"train: chats.jsonl", "  every: 2\n", "every is 2, but nothing is done"},
		{"train: chats.jsonl", "  objective: ppo\n", `objective is "ppo", expected sft, text or dpo`},
		{"train: chat.jsonl", "", "did you mean chats.jsonl?"},
		{"train: chats.jsonl", "  sample_prompts: prompt.txt\n", "did you mean prompts.txt?"},
		{"train: chats.jsonl", "  eval: nosuchtask\n", "nosuchtask"},
		{"train: chats.jsonl", "  eval: acva\n  eval_data: nowhere\n", "train.eval_data"},
	} {
		w, r := trainingRecipe(t, c.inputs, c.block)
		checked, err := w.Check(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := checked.Err(); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s; %s: %v, want %q", c.inputs, c.block, err, c.want)
		}
	}
}

// TestRecipesObserve: a recipe's training answers prompts and is evaluated, and the plan counts
// what that takes.
func TestRecipesObserve(t *testing.T) {
	w, r := trainingRecipe(t, "train: chats.jsonl", "  max_steps: 3\n  sample_prompts: prompts.txt\n  sample_tokens: 4\n  every: 2\n"+
		"  eval: data/tasks.txt\n  eval_data: data/benchmarks\n  eval_max_samples: 2\n")
	checked, err := w.Check(context.Background(), r)
	if err != nil || checked.Err() != nil {
		t.Fatal(err, checked.Err())
	}
	plan, err := w.Plan(context.Background(), r, checked)
	if err != nil || !strings.Contains(plan[0].Work, "; 3 evaluations of ") {
		t.Errorf("%+v, %v", plan, err)
	}
	if err := w.Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"samples.jsonl": 3, "metrics.jsonl": 3 + 3} {
		data, err := os.ReadFile(filepath.Join(w.Out, adapterDir, name))
		if n := strings.Count(string(data), "\n"); err != nil || n != want {
			t.Errorf("%s has %d lines, want %d: %s %v", name, n, want, data, err)
		}
	}
}
