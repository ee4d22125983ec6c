package model_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/mapped"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestModelsThatChangeWhileTheyAreLoaded: in every format and type, a file of weights that
// is truncated or overwritten after the first tensor gives an error that names it. The last
// page of a truncated file can still be read, so the file is cut to nothing.
func TestModelsThatChangeWhileTheyAreLoaded(t *testing.T) {
	dev := cpu.New(3)
	defer dev.Close()
	torch := golden.TorchDir("gemma2")
	for _, from := range []string{golden.Dir("gemma2"), golden.Dir("gemma2-bf16"), golden.Dir("gptneox"),
		golden.Dir("llama-tied"), golden.Dir("qwen2"), golden.Dir("m2m100"), torch} {
		for how, change := range map[string]func(path string) error{
			"cut": func(path string) error { return os.Truncate(path, 0) },
			"overwritten": func(path string) error {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				_, err = f.WriteAt(make([]byte, 1000), 20000)
				return errors.Join(err, f.Close())
			},
		} {
			for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
				_, paths, err := checkpoint.Paths(dir)
				if err != nil {
					t.Fatal(err)
				}
				victim := paths[len(paths)-1]
				loaded := 0
				o := model.Options{Device: dev, DType: dt, Progress: func(int64, int64) {
					if loaded++; loaded == 1 {
						if err := change(victim); err != nil {
							t.Fatal(err)
						}
					}
				}}
				if strings.HasPrefix(filepath.Base(from), "m2m100") {
					_, err = model.OpenSeq2Seq(dir, o)
				} else {
					_, err = model.OpenDecoder(dir, o)
				}
				if !badinput.Is(err) || !strings.Contains(err.Error(), victim+" changed while it was being read") {
					t.Errorf("%s as %s, %s: %v", from, dt, how, err)
				}
			}
		}
	}
}

// TestModelsThatChangeWhileTheyRun: each pass reads embeddings from the file. If the file
// has changed, the pass ends with an error that names it.
func TestModelsThatChangeWhileTheyRun(t *testing.T) {
	dev := cpu.New(2)
	defer dev.Close()
	for how, change := range map[string]func(path string) error{
		"cut": func(path string) error { return os.Truncate(path, 0) },
		"overwritten": func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := len(data) / 2; i < len(data); i++ {
				data[i] ^= 1
			}
			return os.WriteFile(path, data, 0o644)
		},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(golden.Dir("gemma2"))); err != nil {
			t.Fatal(err)
		}
		m, err := model.OpenDecoder(dir, model.Options{Device: dev, DType: dtype.F32})
		if err != nil {
			t.Fatal(err)
		}
		pass := func() error {
			return mapped.Guard(func() error {
				layout := tensor.Packed(3)
				h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()}, []int32{2, 5, 7}, nil)
				if err == nil {
					dev.Free(h)
				}
				return err
			})
		}
		if err := pass(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "model.safetensors")
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if err := pass(); !badinput.Is(err) || !strings.Contains(err.Error(), path+" changed while it was being read") {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// TestLoadingEnds: an interruption ends the loading of a model.
func TestLoadingEnds(t *testing.T) {
	dev := cpu.New(1)
	defer dev.Close()
	ctx, cancel := context.WithCancel(t.Context())
	loaded := 0
	_, err := model.OpenDecoder(golden.Dir("gemma2"),
		model.Options{Context: ctx, Device: dev, DType: dtype.F32, Progress: func(int64, int64) { loaded++; cancel() }})
	if !errors.Is(err, context.Canceled) || loaded != 1 {
		t.Errorf("%v after %d tensors", err, loaded)
	}
}
