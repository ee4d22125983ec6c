package recipe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
)

// TestCheckFindsEverything: each change would stop a working recipe after hours. A check
// reports its line, what is wrong, and a suggestion.
func TestCheckFindsEverything(t *testing.T) {
	for _, c := range []struct{ change, to, key, want string }{
		{"base: models/gemma2", "base: models/gema2", "models.base", "did you mean models/gemma2?"},
		{"translator: models/nllb", "translator: models/nlb", "models.translator", "did you mean models/nllb?"},
		{"translator: models/nllb", "translator: models/gemma2", "models.translator", "needs an encoder-decoder model such as NLLB"},
		{"base: models/gemma2", "base: models/nllb", "models.base", "needs a causal language model"},
		{"model: models/gemma2", "model: models/nllb", "models.generator.model", "needs a causal language model"},
		{"model: models/gemma2", "model: m\n    endpoint: nowhere", "models.generator.endpoint", "not an address"},
		{"model: models/gemma2", "model: m\n    endpoint: http://127.0.0.1:9/v1", "models.generator.endpoint", "does not answer"},
		{"model: models/gemma2", "model: m\n    endpoint: http://x.test\n    key_variable: BARKA_NO_SUCH_KEY",
			"models.generator.key_variable", "BARKA_NO_SUCH_KEY"},
		{"language: arb_Arab", "language: zzz_Arab", "language", `"zzz_Arab" is not one of the model's`},
		{"language: arb_Arab", "language: arb_Arba", "language", "did you mean arb_Arab?"},
		{"  beam: 5", "  from: eng_Latin", "translate.from", "did you mean eng_Latn?"},
		{"data/pages.xml", "data/page.xml", "wiki.dump", "did you mean pages.xml?"},
		{"data/pages.xml", "data/tasks.txt", "wiki.dump", "tasks.txt"},
		{"dtype: f32", "dtype: fp16", "dtype", "expected f32, bf16 or int8"},
		{"  dtype: f32", "  dtype: fp16", "train.dtype", "expected f32, bf16 or int8"},
		{"data/questions.jsonl", "data/question.jsonl", "convert.questions.data", "did you mean data/questions.jsonl?"},
		{"benchmark: alpaca", "benchmark: gsm8k", "convert.questions.data", `column "answer" is missing`},
		{"rank: 8", "targets: [q_proj, v_porj]", "train.targets", "did you mean v_proj?"},
		{"tasks: data/tasks.txt", "tasks: data/task.txt", "eval.tasks", "did you mean data/tasks.txt?"},
		{"tasks: data/tasks.txt", "tasks: acva:Algerai", "eval.tasks", `did you mean "acva:Algeria"?`},
		{"data: data/benchmarks", "data: data/benchmark", "eval.data", "did you mean data/benchmarks?"},
		{"data: data/benchmarks", "data: data", "eval.data", "tasks could not be run"},
		{"data: data/benchmarks", "data: data/tasks.txt", "eval.data", "is a file"},
		{"validation: 0.15", "limits: {demo-singel: 3}", "mix.limits.demo-singel", "did you mean demo-single?"},
		{"validation: 0.15", "tokenizers: [models/gemma]", "mix.tokenizers[0]", "did you mean models/gemma2?"},
		{"seed: 42", "inputs: {instructions: {more: data/question.jsonl}}", "inputs.instructions.more", "did you mean data/questions.jsonl?"},
		{"seed: 42", "inputs: {instructions: {more: data/questions.jsonl}}", "inputs.instructions.more", "questions.jsonl"},
	} {
		w, r := demonstration(t, c.change, c.to)
		checked, err := w.Check(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		err = checked.Err()
		var all *Problems
		if !errors.As(err, &all) || !badinput.Is(err) {
			t.Errorf("%s: %v", c.to, err)
			continue
		}
		text, _ := os.ReadFile(r.file)
		lines := strings.Split(string(text), "\n")
		i := slices.IndexFunc(all.List, func(p Problem) bool { return p.Key == c.key && strings.Contains(p.Text, c.want) })
		if i < 0 || len(all.List) > 2 {
			t.Errorf("%s: %v, expected %s with %q", c.to, err, c.key, c.want)
			continue
		}
		name := c.key[strings.LastIndex(c.key, ".")+1:]
		if line := all.List[i].Line; line < 1 || !strings.Contains(lines[line-1], strings.TrimSuffix(name, "[0]")) {
			t.Errorf("%s: %s is not in line %d", c.to, c.key, line)
		}
		// The command's test checks that a run with the same mistakes does not begin.
		if _, err := os.Stat(w.Out); err == nil {
			t.Errorf("%s: a check wrote files", c.to)
		}
	}
}

// TestCheckOfAnEndpoint: an endpoint is asked for its models only.
func TestCheckOfAnEndpoint(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("a check asked %s %s", r.Method, r.URL)
		}
		w.Write([]byte(`{"data": [{"id": "gemma-2-27b-it"}]}`))
	}))
	defer s.Close()
	for model, warned := range map[string]bool{"gemma-2-27b-it": false, "gemma-2-27b": true} {
		w, r := demonstration(t, "model: models/gemma2", "model: "+model+"\n    endpoint: "+s.URL+"/v1")
		checked, err := w.Check(context.Background(), r)
		if err != nil || checked.Err() != nil {
			t.Fatal(err, checked.Err())
		}
		if text := fmt.Sprint(checked.Warnings); warned != strings.Contains(text, "did you mean gemma-2-27b-it?") {
			t.Errorf("%s: %s", model, text)
		}
	}
}

// TestCheckWarns of mistakes that do not stop a run.
func TestCheckWarns(t *testing.T) {
	w, r := demonstration(t, "  dump: data/pages.xml\n", "  dump: data/pages.xml\n  titles: [Algeria, Nowhere at all]\n",
		"max_length: 512", "max_length: 5000")
	checked, err := w.Check(context.Background(), r)
	if err != nil || checked.Err() != nil {
		t.Fatal(err, checked.Err())
	}
	var text []string
	for _, w := range checked.Warnings {
		text = append(text, w.String())
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{`has no article "Nowhere at all"`, "train.max_length: 5000 tokens"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}

// TestPlan counts existing data, estimates the rest, and recognises finished stages.
func TestPlan(t *testing.T) {
	w, r := demonstration(t)
	planned := func() (stages map[string]Planned, order, done []string) {
		t.Helper()
		checked, err := w.Check(context.Background(), r)
		if err != nil || checked.Err() != nil {
			t.Fatal(err, checked.Err())
		}
		plan, err := w.Plan(context.Background(), r, checked)
		if err != nil {
			t.Fatal(err)
		}
		stages = map[string]Planned{}
		for _, p := range plan {
			stages[p.Stage] = p
			order = append(order, p.Stage)
			if p.Done {
				done = append(done, p.Stage)
			}
		}
		return stages, order, done
	}
	stages, order, done := planned()
	want := []string{"wiki", "synth", "convert questions", "translate", "translate questions",
		"filter", "filter questions", "decontaminate", "decontaminate questions", "mix", "train", "merge", "eval base", "eval tuned", "report"}
	if !slices.Equal(order, want) || done != nil {
		t.Errorf("%q, done %q", order, done)
	}
	if p := stages["synth"]; !p.Estimated || p.Rows != 99 || p.Calls == 0 || p.FLOP == 0 || p.Memory == 0 {
		t.Errorf("synth before wiki: %+v", p)
	}
	if p := stages["convert questions"]; p.Estimated || p.Rows != 6 {
		t.Errorf("convert: %+v", p)
	}
	if p := stages["eval tuned"]; p.Rows != 33 || p.Tokens == 0 || p.FLOP == 0 || p.Memory == 0 || p.DType != "f32" {
		t.Errorf("eval: %+v", p)
	}
	if _, err := os.Stat(w.Out); err == nil {
		t.Error("a plan wrote files")
	}

	c := &chain{Runner: w, r: r}
	if err := c.wiki(context.Background(), stage{name: "wiki", dir: passagesDir}); err != nil {
		t.Fatal(err)
	}
	stages, _, done = planned()
	if p := stages["synth"]; !slices.Equal(done, []string{"wiki"}) || p.Estimated || p.Rows != 26 || !strings.Contains(p.Work, "26 passages") {
		t.Errorf("synth after wiki: done %q, %+v", done, p)
	}
	if err := w.Run(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if _, _, done = planned(); !slices.Equal(done, want[:len(want)-1]) {
		t.Errorf("after the run: done %q", done)
	}
	// The work of a training is counted exactly once its data exist.
	if err := os.RemoveAll(filepath.Join(w.Out, adapterDir)); err != nil {
		t.Fatal(err)
	}
	if stages, _, _ = planned(); stages["train"].Estimated || stages["train"].Rows != 26 ||
		!strings.HasPrefix(stages["train"].Work, "26 conversations") {
		t.Errorf("train after mix: %+v", stages["train"])
	}
}
