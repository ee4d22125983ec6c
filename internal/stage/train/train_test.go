package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dtype"
	"barka/internal/durable"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/testfiles"
	"barka/internal/tokenizer"
)

const base = "../../../testdata/chain/models/gemma2"

// dataset writes conversations, a question and an answer each, as JSON lines.
func dataset(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func turn(question, answer string) string {
	row := map[string]any{"messages": []chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}}
	data, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func coffee(t *testing.T) string {
	var lines []string
	for i, place := range []string{"Algeria", "Yemen", "Oman", "Egypt", "Iraq", "Jordan", "Qatar"} {
		lines = append(lines, turn("How is coffee served in "+place+"?", strings.Repeat("In small cups, with dates. ", 1+i%3)))
	}
	return dataset(t, lines...)
}

func input(t *testing.T, data, val string) train.Input {
	t.Helper()
	return inputOn(t, 2, data, val)
}

func inputOn(t *testing.T, threads int, data, val string) train.Input {
	t.Helper()
	dev := cpu.New(threads)
	t.Cleanup(dev.Close)
	tok, err := tokenizer.Load(base)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (model.Decoder, error) {
		return model.OpenDecoder(base, model.Options{Device: dev, DType: dtype.F32})
	}
	measure := func(dev tensor.Device, _ string) (model.Decoder, error) {
		return model.OpenDecoder(base, model.Options{Device: dev, DType: dtype.F32})
	}
	return train.Input{Open: open, Measure: measure, Tokenizer: tok, Base: "demo/gemma2", ModelDigest: "d",
		Train: []train.Source{{Path: data}}, Val: val}
}

func options() train.Options {
	o := train.Defaults()
	o.Rank, o.Alpha, o.LR, o.Epochs, o.Batch, o.SaveSteps, o.MicroTokens, o.DType = 4, 8, 2e-3, 3, 2, 2, 100, "f32"
	return o
}

// watch calls at after the numbered optimiser step.
type watch struct {
	progress.Reporter
	step, at int
	skipped  int
	do       func()
}

func (w *watch) Skip(n int64) { w.skipped += int(n) }

func (w *watch) Add(n int64) {
	w.step += int(n)
	if w.step == w.at {
		w.do()
	}
}

// outputs are the files a run leaves, but TensorBoard's, which hold times.
func outputs(t *testing.T, dir string) map[string]string {
	return testfiles.Tree(t, dir, func(name string) bool { return strings.Contains(name, "tfevents") })
}

// TestResume interrupts runs and continues them: cancelled, and as a killed
// process leaves its directory (copied while the run goes on). Both end in
// the bytes of an undisturbed run, with other numbers of threads too.
func TestResume(t *testing.T) {
	data, val := coffee(t), coffee(t)
	o := options()
	o.Dropout = 0.1 // drawn from step and row, so it continues too
	run := func(ctx context.Context, threads int, out string, p progress.Reporter) error {
		_, err := train.Run(ctx, o, inputOn(t, threads, data, val), durable.Env{Out: out, Seed: 3, Progress: p})
		return err
	}
	dir := t.TempDir()
	whole, killed := filepath.Join(dir, "whole"), filepath.Join(dir, "killed")
	copyOut := &watch{Reporter: progress.Silent, at: 5, do: func() {
		if err := os.CopyFS(killed+".partial", os.DirFS(whole+".partial")); err != nil {
			t.Fatal(err)
		}
	}}
	if err := run(context.Background(), 2, whole, copyOut); err != nil {
		t.Fatal(err)
	}
	want := outputs(t, whole)
	if want["adapter_model.safetensors"] == "" || strings.Count(want["metrics.jsonl"], "\n") != 12 {
		t.Fatalf("files %v", want["metrics.jsonl"])
	}
	if _, err := os.Stat(killed); err == nil {
		t.Fatal("the copied run is finished")
	}
	if err := run(context.Background(), 3, killed, progress.Silent); err != nil {
		t.Fatal(err)
	}
	testfiles.Same(t, "killed", outputs(t, killed), want)

	cancelled := filepath.Join(dir, "cancelled")
	ctx, cancel := context.WithCancel(context.Background())
	if err := run(ctx, 1, cancelled, &watch{Reporter: progress.Silent, at: 7, do: cancel}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	rest := &watch{Reporter: progress.Silent, at: -1}
	if err := run(context.Background(), 4, cancelled, rest); err != nil {
		t.Fatal(err)
	}
	if rest.step != 12-7 || rest.skipped != 7 {
		t.Errorf("the continued run counts %d steps as its own and %d as done before, want 5 and 7: "+
			"the time left follows from its own", rest.step, rest.skipped)
	}
	testfiles.Same(t, "cancelled", outputs(t, cancelled), want)
}

func TestLossFallsAndMicroBatchesDoNotMatter(t *testing.T) {
	data := coffee(t)
	var losses []float64
	for _, budget := range []int{1, 60, 10000} {
		o := options()
		o.MicroTokens, o.Epochs, o.LR = budget, 6, 5e-3
		s, err := train.Run(context.Background(), o, input(t, data, data),
			durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent})
		if err != nil {
			t.Fatal(err)
		}
		if s.FinalLoss > 0.6*s.FirstLoss || s.BestVal == nil || *s.BestVal > 0.6*s.FirstLoss {
			t.Errorf("loss %g to %g, validation %v", s.FirstLoss, s.FinalLoss, s.BestVal)
		}
		losses = append(losses, s.FirstLoss)
	}
	// The gradient sums of a batch are taken in another order, nothing else.
	for _, l := range losses {
		if d := l - losses[0]; d > 1e-6 || d < -1e-6 {
			t.Errorf("first losses %v differ with the micro-batch", losses)
		}
	}
}

// TestRunsBeforeTemplates: a run made before identities held the template's
// digest is taken if it is finished, and refused if data may still be read.
func TestRunsBeforeTemplates(t *testing.T) {
	data := coffee(t)
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	o := options()
	o.Epochs = 1
	first, err := train.Run(context.Background(), o, input(t, data, ""), at)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(at.Out, "train.json")
	var id map[string]any
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &id)
	}
	if err != nil || id["chat"] == nil {
		t.Fatalf("%s: %v", text, err)
	}
	delete(id, "chat")
	if text, err = json.Marshal(id); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := train.Run(context.Background(), o, input(t, data, ""), at); err != nil || again.FinalLoss != first.FinalLoss {
		t.Errorf("finished: %v, %v", again, err)
	}
	if err := os.Remove(filepath.Join(at.Out, train.StateFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := train.Run(context.Background(), o, input(t, data, ""), at); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "an earlier version of barka did not finish") {
		t.Errorf("not finished: %v", err)
	}
}

func TestChangedRunsAreRefused(t *testing.T) {
	data := coffee(t)
	at := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent}
	o := options()
	o.Epochs = 1
	first, err := train.Run(context.Background(), o, input(t, data, ""), at)
	if err != nil {
		t.Fatal(err)
	}
	in := input(t, data, "")
	in.Open = func() (model.Decoder, error) { return nil, errors.New("a finished run opens the model") }
	again, err := train.Run(context.Background(), o, in, at)
	if err != nil || again.FinalLoss != first.FinalLoss {
		t.Errorf("%v, %v", again, err)
	}
	refused := func(what string, o train.Options, in train.Input, at durable.Env) {
		t.Helper()
		var bad *badinput.Error
		_, err := train.Run(context.Background(), o, in, at)
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want bad input that names %q", err, what)
		}
	}
	other := o
	other.LR = 1
	refused("option lr was 0.002 and is now 1", other, in, at)
	in.ModelDigest = "e"
	refused("model was d and is now e", o, in, at)
	refused("the dataset was", o, input(t, dataset(t, turn("a", "b")), ""), at)
	reseeded := at
	reseeded.Seed = 4
	refused("seed was 3 and is now 4", o, input(t, data, ""), reseeded)
	at.Restart = true
	if s, err := train.Run(context.Background(), other, input(t, data, ""), at); err != nil || s.Steps != first.Steps {
		t.Errorf("restarted: %v, %v", s, err)
	}
}

// TestRowsBeyondTheModel: a conversation that the model has no positions for
// is an error, unless max_length cuts it first.
func TestRowsBeyondTheModel(t *testing.T) {
	data := dataset(t, turn("How?", "In cups."), talk("And?", "Yes.", "And?", strings.Repeat("In small cups. ", 2000)))
	o := options()
	o.MaxLength = 100000
	var wrong *badinput.Error
	_, err := train.Plan(context.Background(), o, input(t, data, ""), 3)
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "row 2") ||
		!strings.Contains(err.Error(), "the model has positions for 1024") {
		t.Errorf("plan: %v", err)
	}
	for _, in := range []train.Input{input(t, data, ""), input(t, coffee(t), data)} {
		_, err := train.Run(context.Background(), o, in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Seed: 3, Progress: progress.Silent})
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "row 2") || !strings.Contains(err.Error(), "1024") {
			t.Errorf("run: %v", err)
		}
	}
	o.MaxLength = 1024
	if e, err := train.Plan(context.Background(), o, input(t, data, ""), 3); err != nil || e.Data.Cut != 1 || e.Data.Longest > 1024 {
		t.Errorf("cut: %+v, %v", e, err)
	}
}

func TestPlanCountsWhatRunDoes(t *testing.T) {
	o := options()
	in := input(t, coffee(t), "")
	e, err := train.Plan(context.Background(), o, in, 3)
	if err != nil {
		t.Fatal(err)
	}
	s, err := train.Run(context.Background(), o, in, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	if e.Steps != s.Steps || e.Parameters != s.Parameters || e.Data.Trained*3 != s.TrainedTotal || e.Memory <= 0 || e.FLOP <= 0 {
		t.Errorf("planned %+v, ran %+v", e, s)
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*train.Options){
		"rank": func(o *train.Options) { o.Rank = 0 }, "alpha": func(o *train.Options) { o.Alpha = 0 },
		"dropout": func(o *train.Options) { o.Dropout = 1 }, "targets": func(o *train.Options) { o.Targets = nil },
		"lr": func(o *train.Options) { o.LR = 0 }, "warmup": func(o *train.Options) { o.WarmupRatio = 2 },
		"epochs": func(o *train.Options) { o.Epochs = 0 }, "length": func(o *train.Options) { o.MaxLength = 1 },
		"clip": func(o *train.Options) { o.Clip = -1 }, "betas": func(o *train.Options) { o.Beta2 = 1 },
		"schedule": func(o *train.Options) { o.Schedule = "sawtooth" },
	} {
		o := train.Defaults()
		change(&o)
		if o.Validate() == nil {
			t.Errorf("%s: accepted %+v", name, o)
		}
	}
}
