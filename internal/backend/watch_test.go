package backend

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/golden"
	"barka/internal/progress"
)

// TestWhatIsDigestedIsWhatIsLoaded: a model or an adapter that changes between digesting
// and loading, in either order, is refused with the file's name.
func TestWhatIsDigestedIsWhatIsLoaded(t *testing.T) {
	for _, name := range []string{"model.safetensors", "tokenizer.json", "config.json"} {
		for _, first := range []string{"digest", "load"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(gemma)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			touch := func() {
				if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			e := engine(t, 1)
			var err error
			if first == "digest" {
				if _, err = e.Digest(dir); err != nil {
					t.Fatal(err)
				}
				touch()
				_, err = e.LazyChat("model", dir).Complete(t.Context(), ask("Coffee?", 1))
			} else {
				d, errOpen := e.OpenDecoder(dir, "")
				if errOpen != nil {
					t.Fatal(errOpen)
				}
				touch()
				_, err = d.EvalModel()
			}
			if !badinput.Is(err) || !strings.Contains(err.Error(), path+" changed while it was being read") {
				t.Errorf("%s, %s first: %v", name, first, err)
			}
			if _, err := engine(t, 1).Digest(dir); err != nil {
				t.Errorf("another engine: %v", err)
			}
		}
	}
}

// onAdd is a Progress that calls a function at the first Add.
type onAdd struct {
	progress.Reporter
	f func()
}

func (o *onAdd) Add(int64) {
	if o.f != nil {
		o.f()
		o.f = nil
	}
}

// TestMergeOfChangingModels: a base or an adapter that changes during a merge
// leaves no model.
func TestMergeOfChangingModels(t *testing.T) {
	for _, victim := range []string{"model.safetensors", "config.json", "adapter/adapter_model.safetensors"} {
		for how, change := range map[string]func(path string) error{
			"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) },
			"cut":     func(path string) error { return os.Truncate(path, 0) },
		} {
			dir := t.TempDir()
			base, out := filepath.Join(dir, "base"), filepath.Join(dir, "merged")
			if err := os.CopyFS(base, os.DirFS(golden.Dir("gemma2"))); err != nil {
				t.Fatal(err)
			}
			e := engine(t, 2)
			if _, err := e.Merge(t.Context(), base, filepath.Join(base, "adapter"), filepath.Join(dir, "whole"), nil, progress.Silent); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(base, victim)
			_, err := e.Merge(t.Context(), base, filepath.Join(base, "adapter"), out, nil, &onAdd{progress.Silent, func() {
				if err := change(path); err != nil {
					t.Fatal(err)
				}
			}})
			if !badinput.Is(err) || !strings.Contains(err.Error(), path+" changed while it was being read") {
				t.Errorf("%s %s: %v", victim, how, err)
			}
			if _, err := os.Stat(filepath.Join(out, "merge.json")); err == nil {
				t.Errorf("%s %s: a model was left", victim, how)
			}
		}
	}
}

// TestMergeEnds: an interrupted merge ends after the current tensor, and the next one
// writes the whole model.
func TestMergeEnds(t *testing.T) {
	dir := t.TempDir()
	base, out, whole := golden.Dir("gemma2"), filepath.Join(dir, "merged"), filepath.Join(dir, "whole")
	e := engine(t, 1)
	if _, err := e.Merge(t.Context(), base, filepath.Join(base, "adapter"), whole, nil, progress.Silent); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	added := &onAdd{progress.Silent, cancel}
	if _, err := e.Merge(ctx, base, filepath.Join(base, "adapter"), out, nil, added); !errors.Is(err, context.Canceled) || added.f != nil {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err == nil {
		t.Error("the model is there after an interruption")
	}
	if _, err := e.Merge(t.Context(), base, filepath.Join(base, "adapter"), out, nil, progress.Silent); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "merge.json", "config.json"} {
		a, errA := os.ReadFile(filepath.Join(whole, name))
		b, errB := os.ReadFile(filepath.Join(out, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", name, errA, errB)
		}
	}
}
