//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon runs a command that must end within a few seconds; one that waits for a named pipe
// would not.
func soon(t *testing.T, args ...string) result {
	t.Helper()
	ended := make(chan result, 1)
	go func() { ended <- barka(t, "", args...) }()
	select {
	case r := <-ended:
		return r
	case <-time.After(20 * time.Second):
		t.Fatalf("barka %s hangs", strings.Join(args, " "))
		return result{}
	}
}

// TestPipesAndDevices: no verb waits for a named pipe, copies a device or reads a directory
// as a file. The error names the path and its type.
func TestPipesAndDevices(t *testing.T) {
	dir := inputs(t)
	gemma, nllb, data := filepath.Join(dir, "models", "gemma2"), filepath.Join(dir, "models", "nllb"),
		filepath.Join(dir, "data", "benchmarks")
	adapter, err := filepath.Abs("../../testdata/models/gemma2/adapter")
	if err != nil {
		t.Fatal(err)
	}
	out := func() string { return filepath.Join(t.TempDir(), "out") }
	pipe := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refused := func(path, what string, args ...string) {
		t.Helper()
		if r := soon(t, args...); r.code != exitBadInput || !strings.Contains(r.err, path+" is "+what) {
			t.Errorf("barka %s: exit code %d, %q; expected %s is %s", strings.Join(args, " "), r.code, r.err, path, what)
		}
	}

	lines := pipe("rows.jsonl")
	for _, args := range [][]string{
		{"generate", "--model", gemma, "--input", lines},
		{"translate", "--model", nllb, "--to", "arb_Arab", "--in", lines, "--out", out()},
		{"filter", "--in", lines, "--out", out()},
		{"train", "--model", gemma, "--data", lines, "--out", out()},
		{"synth", "--in", lines, "--model", gemma, "--out", out()},
		{"run", lines},
		{"eval", "--model", gemma, "--data", data, "--tasks", lines, "--output-dir", out()},
	} {
		refused(lines, "a named pipe", args...)
	}

	for what, make := range map[string]func(path string) error{
		"a named pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a device":     func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		for _, name := range []string{"sentencepiece.model", "notes.txt", "added_tokens.json"} {
			model := filepath.Join(t.TempDir(), "model")
			if err := os.CopyFS(model, os.DirFS(gemma)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(model, name)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"score", "--model", model}, {"tokenize", "--model", model}, {"generate", "--model", model,
					"--prompt", "x"}, {"doctor", "--model", model},
				{"merge", "--model", model, "--adapter", adapter, "--out", out()}, {"train", "--model", model,
					"--data", data, "--out", out()},
				{"eval", "--model", model, "--data", data, "--output-dir", out()}, {"translate", "--model", model, "--to", "arb_Arab"},
			} {
				refused(path, what, args...)
			}
		}
	}

	for _, name := range []string{"sentencepiece.model", "model.safetensors"} {
		model := filepath.Join(t.TempDir(), "model")
		if err := os.CopyFS(model, os.DirFS(gemma)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(model, name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		refused(path, "a directory", "merge", "--model", model, "--adapter", adapter, "--out", out())
	}
}
