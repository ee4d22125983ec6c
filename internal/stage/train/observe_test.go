package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/tensor"
	"barka/internal/testfiles"
)

// losses is an Evaluator whose score is the likelihood of a fixed text. It asks for the context
// between passes, as evaluations do, and keeps what it has in dir.
type losses struct {
	opened  func() model.Decoder
	work    train.Work
	calls   int
	reused  int
	digests map[string]bool
}

func (l *losses) Work(context.Context) (train.Work, error) { return l.work, nil }

func (l *losses) Evaluate(ctx context.Context, adapter, dir string) (*train.Scores, error) {
	l.calls++
	l.digests[adapter] = true
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, adapter)
	if data, err := os.ReadFile(path); err == nil {
		l.reused++
		var s train.Scores
		return &s, json.Unmarshal(data, &s)
	}
	m := l.opened()
	tokens, rows := make([]int32, 60), make([]int32, 59)
	for i := range tokens {
		tokens[i] = int32(40 + 7*i%300)
	}
	for i := range rows {
		rows[i] = int32(i)
	}
	layout := tensor.Packed(len(tokens))
	loss, err := model.Loss(m, &nn.Pass{Dev: m.Device(), Layout: &layout, Positions: layout.Positions()}, tokens, rows, tokens[1:])
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &train.Scores{Questions: 2, Mean: loss, Scores: map[string]float64{"A": loss, "B": loss / 2}}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(path, data, 0o644)
}

// observing returns the input and options of a run that answers prompts and is evaluated.
func observing(t *testing.T, every int) (train.Options, train.Input, *losses) {
	o, in := options(), input(t, coffee(t), coffee(t))
	l := &losses{digests: map[string]bool{}}
	open := in.Open
	in.Open = func() (model.Decoder, error) {
		m, err := open()
		l.opened = func() model.Decoder { return m }
		return m, err
	}
	in.Evaluator = l
	o.SamplePrompts, o.SampleTokens, o.Eval, o.Every = filepath.Join(t.TempDir(), "prompts.jsonl"), 8, "acva", every
	text := `{"id":"x","prompt":"How is coffee served in Oman?"}` + "\n\n" +
		`{"messages":[{"role":"user","content":"How is it?"},{"role":"assistant","content":"Good."},{"role":"user","content":"And in Egypt?"}]}`
	if err := os.WriteFile(o.SamplePrompts, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return o, in, l
}

// lines returns the JSON lines of a file of a finished run.
func lines(t *testing.T, out, name string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(outputs(t, out)[name]) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestObservedRunsTrainTheSame: samples and evaluations change no bit of the adapter, nor of
// the steps' lines.
func TestObservedRunsTrainTheSame(t *testing.T) {
	o, in, l := observing(t, 5)
	o.Dropout, o.NEFTune = 0.1, 5
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3}
	var seen []string
	at.Progress = events{Reporter: progress.Silent, do: func(v any) { seen = append(seen, fmt.Sprintf("%T", v)) }}
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	plain := o
	plain.SamplePrompts, plain.Eval, plain.Every = "", "", 0
	without := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	if _, err := train.Run(context.Background(), plain, in, without); err != nil {
		t.Fatal(err)
	}
	got, want := outputs(t, at.Out), outputs(t, without.Out)
	for _, name := range []string{"adapter_model.safetensors", "adapter_config.json", "best/adapter_model.safetensors", "train.json"} {
		if got[name] != want[name] || want[name] == "" {
			t.Errorf("%s differs", name)
		}
	}
	var steps strings.Builder
	var evaluated []float64
	for line := range strings.Lines(got["metrics.jsonl"]) {
		if !strings.Contains(line, `"eval"`) {
			steps.WriteString(line)
			continue
		}
		var e struct {
			Step int
			Eval train.Scores
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Step != min(5*len(evaluated), 12) || e.Eval.Questions != 2 {
			t.Errorf("%s: %v", line, err)
		}
		evaluated = append(evaluated, e.Eval.Mean)
	}
	if steps.String() != want["metrics.jsonl"] {
		t.Error("the lines of the steps differ")
	}
	if len(evaluated) != 4 || evaluated[0] == evaluated[3] || l.calls != 4 || len(l.digests) != 4 {
		t.Errorf("evaluations %v, %d calls, %d adapters", evaluated, l.calls, len(l.digests))
	}
	samples := lines(t, at.Out, "samples.jsonl")
	if len(samples) != 8 || samples[0]["id"] != "x" || samples[0]["step"] != 0.0 || samples[7]["step"] != 12.0 ||
		samples[7]["messages"] == nil ||
		samples[0]["answer"] == samples[6]["answer"] {
		t.Errorf("samples %v", samples)
	}
	if text := strings.Join(seen, " "); strings.Count(text, "train.sampleEvent") != 8 || strings.Count(text, "train.evaluationEvent") != 4 {
		t.Error(text)
	}
}

// TestSamplesAreTheAdaptersAnswers: the last sample is what the adapter that was written
// answers.
func TestSamplesAreTheAdaptersAnswers(t *testing.T) {
	o, in, _ := observing(t, 100)
	o.Eval, in.Evaluator = "", nil
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	trained := lines(t, at.Out, "samples.jsonl")
	// A run that continues the adapter answers with it before its first step.
	d := train.Defaults()
	o.Adapter, o.Rank, o.Alpha, o.MaxSteps = at.Out, d.Rank, d.Alpha, 1
	at.Out = filepath.Join(t.TempDir(), "continued")
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	again := lines(t, at.Out, "samples.jsonl")
	for i, s := range trained[2:] {
		if again[i]["answer"] != s["answer"] || s["answer"] == trained[i]["answer"] || s["answer"] == "" {
			t.Errorf("%v, want %v, which differs from %v", again[i], s, trained[i])
		}
	}
}

// TestObservedRunsResume: a run that is interrupted everywhere, in samples and evaluations too,
// and one that is killed, end in the bytes of an undisturbed one.
func TestObservedRunsResume(t *testing.T) {
	o, in, l := observing(t, 0)
	o.EvalSteps = 2
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
	killedAt(t, 5, o, in, at, filepath.Join(dir, "killed"))
	want := outputs(t, at.Out)
	if len(lines(t, at.Out, "samples.jsonl")) != 2*7 {
		t.Errorf("samples: %s", want["samples.jsonl"])
	}
	at.Out = filepath.Join(dir, "killed")
	l.reused = 0
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "killed", outputs(t, at.Out), want)
	at.Out = filepath.Join(dir, "interrupted")
	err, parts := context.Canceled, 0
	for ; errors.Is(err, context.Canceled) && parts < 500; parts++ {
		_, err = train.Run(&limited{context.Background(), 15 + parts%60}, o, in, at)
	}
	if err != nil || parts < 5 {
		t.Fatalf("after %d interrupts: %v", parts, err)
	}
	testfiles.Same(t, "interrupted", outputs(t, at.Out), want)
	if l.reused == 0 {
		t.Error("no evaluation went on where an interrupt had ended it")
	}
}

// TestObservingIsEstimated: what samples and evaluations need is part of the estimate, and a run
// in which it does not fit is refused.
func TestObservingIsEstimated(t *testing.T) {
	o, in, l := observing(t, 0)
	plan := func() (*train.Estimate, error) {
		e, err := train.Plan(context.Background(), o, in, 3)
		if e != nil {
			t.Cleanup(func() { e.Close() })
		}
		return e, err
	}
	small, err := plan()
	if err != nil || small.Observing == 0 {
		t.Fatalf("%+v, %v", small, err)
	}
	l.work = train.Work{Tokens: 1000, Memory: 1 << 30}
	large, err := plan()
	if err != nil || large.Memory < small.Memory+(9<<30)/10 || large.Observing != 1<<30 {
		t.Errorf("%d bytes after %d, %v", large.Memory, small.Memory, err)
	}
	in.Available = func() int64 { return 1 << 30 }
	_, err = plan()
	badinputtest.Want(t, err, "samples and evaluations during the run need about", "leave out eval or sample_prompts")
	in.Available, in.Evaluator = nil, nil
	_, err = plan()
	badinputtest.Want(t, err, "eval names the tasks acva")
}

// TestBadPrompts: errors name the file, the line and what is wrong, before anything is trained.
func TestBadPrompts(t *testing.T) {
	o, in, _ := observing(t, 0)
	for text, want := range map[string]string{
		"":                                      "has no prompt",
		"{\"prompt\":\"a\"}\n{\"promt\":\"b\"}": "line 2",
		`{"id":1}`:                              "expected either prompt (a text) or messages (a list)",
		`{"messages":[{"role":"x","content":""}]}`: "line 1",
		"[1]": "line 1",
		`{"prompt":"` + strings.Repeat("long ", 700) + `"}`: "positions; shorten it",
	} {
		if err := os.WriteFile(o.SamplePrompts, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := train.Plan(context.Background(), o, in, 3)
		badinputtest.Want(t, err, "sample_prompts", want)
	}
	o.SamplePrompts = filepath.Join(t.TempDir(), "none")
	_, err := train.Plan(context.Background(), o, in, 3)
	badinputtest.Want(t, err, "sample_prompts", "none")
	o = options()
	o.Every = 3
	badinputtest.Want(t, o.Validate(), "every is 3, but nothing is done")
	o = options()
	o.EvalMaxSamples = 3
	badinputtest.Want(t, o.Validate(), "of no effect without eval")
}

// TestPlainPrompts: with objective text a prompt is continued as it is, from a file with a
// prompt per line.
func TestPlainPrompts(t *testing.T) {
	o, _, _ := observing(t, 0)
	in := input(t, texts(t), "")
	o.Eval, o.Objective, o.MaxLength = "", train.ObjectiveText, 40
	o.SamplePrompts = filepath.Join(t.TempDir(), "prompts.txt")
	if err := os.WriteFile(o.SamplePrompts, []byte("Coffee is\n\nServed in\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	if samples := lines(t, at.Out, "samples.jsonl"); len(samples) < 4 || samples[1]["prompt"] != "Served in" || samples[1]["tokens"] == 0.0 {
		t.Errorf("%v", samples)
	}
}
