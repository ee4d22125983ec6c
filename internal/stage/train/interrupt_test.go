package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

// limited is a context that ends when it has been asked a number of times.
type limited struct {
	context.Context
	left int
}

func (l *limited) Err() error {
	if l.left--; l.left < 0 {
		return context.Canceled
	}
	return nil
}

// hook calls do after each optimiser step.
type hook struct {
	progress.Reporter
	step int
	do   func(step int)
}

func (h *hook) Add(n int64) {
	h.step += int(n)
	h.do(h.step)
}

// TestInterruptedAnywhere ends a run at every place where it looks for an interrupt, between
// micro-batches and inside validations, and continues it to the same bytes.
func TestInterruptedAnywhere(t *testing.T) {
	in := input(t, coffee(t), coffee(t))
	o := options()
	o.EvalSteps, o.SaveSteps, o.Epochs, o.Dropout, o.MicroTokens = 2, 0, 4, 0.1, 50
	whole := filepath.Join(t.TempDir(), "whole")
	env := func(out string) durable.Env { return durable.Env{Out: out, Seed: 3, Progress: progress.Silent} }
	if _, err := train.Run(context.Background(), o, in, env(whole)); err != nil {
		t.Fatal(err)
	}
	want := outputs(t, whole)
	if want["best/adapter_model.safetensors"] == "" {
		t.Error("no best adapter")
	}
	out := filepath.Join(t.TempDir(), "out")
	var err error
	parts := 0
	for ; parts < 1000; parts++ {
		// The first interrupts come while the data are read.
		if _, err = train.Run(&limited{context.Background(), 4 + parts%40}, o, in, env(out)); !errors.Is(err, context.Canceled) {
			break
		}
	}
	if err != nil || parts < 20 {
		t.Fatalf("after %d interrupts: %v", parts, err)
	}
	t.Logf("%d interrupts", parts)
	testfiles.Same(t, "interrupted", outputs(t, out), want)
}

// TestCheckpointOnDemand: a signal makes a run write a checkpoint and go on, from which a
// killed run continues.
func TestCheckpointOnDemand(t *testing.T) {
	in := input(t, coffee(t), "")
	o := options()
	o.SaveSteps = 0
	signals := make(chan os.Signal, 1)
	in.Save = signals
	dir := t.TempDir()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3}
	left := filepath.Join(dir, "left")
	at.Progress = &hook{Reporter: progress.Silent, do: func(step int) {
		switch step {
		case 5:
			signals <- syscall.SIGINT // any will do
		case 7:
			copyTree(t, at.Out+".partial", left+".partial")
		}
	}}
	if _, err := train.Run(context.Background(), o, in, at); err != nil {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(filepath.Join(left+".partial", "checkpoints", "*")); err != nil || len(names) != 1 ||
		!strings.HasSuffix(names[0], "step-00000005") {
		t.Fatalf("checkpoints %v, %v", names, err)
	}
	rest := &watch{Reporter: progress.Silent, at: -1}
	if _, err := train.Run(context.Background(), o, in, durable.Env{Out: left, Seed: 3, Progress: rest}); err != nil {
		t.Fatal(err)
	}
	if rest.skipped != 5 {
		t.Errorf("%d steps skipped, want 5", rest.skipped)
	}
	testfiles.Same(t, "continued", outputs(t, left), outputs(t, at.Out))
}

// TestOtherCheckpoints: how often checkpoints are written, how many are kept, and whether
// blocks are recomputed may change within a run.
func TestOtherCheckpoints(t *testing.T) {
	in := input(t, coffee(t), "")
	dir := t.TempDir()
	o := options()
	at := durable.Env{Out: filepath.Join(dir, "out"), Seed: 3, Progress: progress.Silent}
	killedAt(t, 5, o, in, at, filepath.Join(dir, "killed"))
	want := outputs(t, at.Out)
	o.SaveSteps, o.SaveMinutes, o.Keep, o.Checkpointing = 1, 1e-9, 3, train.CheckpointingOn
	kept := 0
	at.Out = filepath.Join(dir, "killed")
	at.Progress = &watch{Reporter: progress.Silent, at: 6, do: func() {
		names, _ := filepath.Glob(filepath.Join(at.Out+".partial", "checkpoints", "step-*"))
		kept = len(names)
	}}
	rest := at
	if _, err := train.Run(context.Background(), o, in, rest); err != nil {
		t.Fatal(err)
	}
	if kept != 3 {
		t.Errorf("%d checkpoints kept, want 3", kept)
	}
	testfiles.Same(t, "continued", outputs(t, at.Out), want)
	again := at
	again.Progress = progress.Silent
	o.SaveSteps = 7
	if _, err := train.Run(context.Background(), o, in, again); err != nil {
		t.Errorf("a finished run with other checkpoints: %v", err)
	}
}

// TestDataThatChange: a dataset that changes while it is read is an error, and one that has
// changed since is refused when the run is continued. The run itself keeps its tokens: it ends
// with those that its record names.
func TestDataThatChange(t *testing.T) {
	in := input(t, coffee(t), "")
	path := in.Train[0].Path
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func() {
		if err := os.WriteFile(path, append(was, was...), 0o644); err != nil {
			t.Error(err)
		}
	}
	o, out := options(), filepath.Join(t.TempDir(), "out")
	at := durable.Env{Out: out, Seed: 3}
	at.Progress = events{Reporter: progress.Silent, do: func(v any) {
		if _, read := v.(*train.Estimate); read {
			change()
		}
	}}
	_, err = train.Run(context.Background(), o, in, at)
	badinputtest.Want(t, err, "the data changed while they were read (content of the dataset", "run again when nothing writes to them")

	if err := os.WriteFile(path, was, 0o644); err != nil {
		t.Fatal(err)
	}
	at.Restart = true
	ctx, cancel := context.WithCancel(context.Background())
	at.Progress = &hook{Reporter: progress.Silent, do: func(step int) {
		if step == 4 {
			change()
		}
		if step == 6 {
			cancel()
		}
	}}
	if _, err := train.Run(ctx, o, in, at); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	at.Restart, at.Progress = false, progress.Silent
	_, err = train.Run(context.Background(), o, in, at)
	badinputtest.Want(t, err, "content of the dataset")
	if err := os.WriteFile(path, was, 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := train.Run(context.Background(), o, in, at); err != nil || s.Steps != 12 {
		t.Errorf("%+v, %v", s, err)
	}
}
