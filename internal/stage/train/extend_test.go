package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/train"
	"barka/internal/testfiles"
)

func run(o train.Options, in train.Input, env durable.Env) (*train.State, error) {
	return train.Run(context.Background(), o, in, env)
}

// TestExtend: a finished run with more epochs or steps goes on from its end. With a constant
// learning rate it ends in the bytes of a run that had that length from the start, also if it
// is killed on the way.
func TestExtend(t *testing.T) {
	in := input(t, coffee(t), coffee(t))
	dir := t.TempDir()
	o := options()
	o.Schedule, o.WarmupRatio, o.EvalSteps = "constant", 0, 4
	env := func(name string) durable.Env {
		return durable.Env{Out: filepath.Join(dir, name), Seed: 3, Progress: progress.Silent}
	}
	if _, err := run(o, in, env("whole")); err != nil {
		t.Fatal(err)
	}
	want := outputs(t, filepath.Join(dir, "whole"))
	short := o
	short.Epochs = 1
	if _, err := run(short, in, env("out")); err != nil {
		t.Fatal(err)
	}
	copyTree(t, filepath.Join(dir, "out"), filepath.Join(dir, "steps"))
	killedAt(t, 3, o, in, env("out"), filepath.Join(dir, "killed"))
	testfiles.Same(t, "extended", outputs(t, filepath.Join(dir, "out")), want)
	for _, again := range []string{"killed", "out"} {
		rest := &watch{Reporter: progress.Silent, at: -1}
		at := env(again)
		at.Progress = rest
		if _, err := run(o, in, at); err != nil {
			t.Fatal(err)
		}
		if again == "killed" && rest.skipped != 6 {
			t.Errorf("%d steps skipped, want 6", rest.skipped)
		}
		testfiles.Same(t, again, outputs(t, filepath.Join(dir, again)), want)
	}

	steps := short
	steps.MaxSteps = 6
	s, err := run(steps, in, env("steps"))
	if err != nil || s.Steps != 6 {
		t.Fatalf("%+v, %v", s, err)
	}
	if lines := strings.Count(outputs(t, filepath.Join(dir, "steps"))["metrics.jsonl"], "\n"); lines != 6 {
		t.Errorf("%d lines of metrics for 6 steps", lines)
	}
	// A shorter run, or one that differs in more, is refused and changes nothing.
	before := outputs(t, filepath.Join(dir, "steps"))
	steps.MaxSteps = 5
	_, err = run(steps, in, env("steps"))
	badinputtest.Want(t, err, "max_steps was 6 and is now 5")
	steps.MaxSteps, steps.LR = 8, 1
	_, err = run(steps, in, env("steps"))
	badinputtest.Want(t, err, "option lr")
	testfiles.Same(t, "refused", outputs(t, filepath.Join(dir, "steps")), before)

	// Without the checkpoint the run cannot be extended.
	if err := os.RemoveAll(filepath.Join(dir, "steps", "checkpoints")); err != nil {
		t.Fatal(err)
	}
	steps.LR = short.LR
	in.Open = func() (model.Decoder, error) { return nil, errors.New("the model is opened") }
	_, err = run(steps, in, env("steps"))
	badinputtest.Want(t, err, "max_steps was 6 and is now 8")
}
