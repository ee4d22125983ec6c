package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lineByLine returns one line per read, and calls then before the second.
type lineByLine struct {
	lines []string
	then  func()
	read  int
}

func (l *lineByLine) Read(p []byte) (int, error) {
	if len(l.lines) == 0 {
		return 0, io.EOF
	}
	if l.read++; l.read == 2 {
		l.then()
	}
	n := copy(p, l.lines[0])
	l.lines = l.lines[1:]
	return n, nil
}

// TestModelThatChangesDuringAVerb: results written before the change are right, nothing is
// written after it, and the exit code is that of bad input.
func TestModelThatChangesDuringAVerb(t *testing.T) {
	request := `{"context": "2+2=", "continuations": ["4", "5"]}` + "\n"
	for _, c := range []struct {
		model, line string
		args        []string
	}{
		{"gemma2", request, []string{"score"}},
		{"gemma2", "How is coffee poured?\n", []string{"generate", "--input", "-", "--max-tokens", "4", "--temperature", "0.9", "--json"}},
		{"nllb", "Coffee came to Arabia.\n", []string{"translate", "--to", "arb_Arab"}},
	} {
		dir := inputs(t)
		model := filepath.Join(dir, "models", c.model)
		args := append(c.args, "--model", model, "--quiet")
		whole := ok(t, c.line+c.line, args...)
		if strings.Count(whole, "\n") != 2 {
			t.Fatalf("%s: %q", c.args[0], whole)
		}
		weights := filepath.Join(model, "model.safetensors")
		for how, change := range map[string]func() error{
			"overwritten": func() error {
				data, err := os.ReadFile(weights)
				if err != nil {
					return err
				}
				for i := len(data) / 2; i < len(data); i++ {
					data[i] ^= 1
				}
				return os.WriteFile(weights, data, 0o644)
			},
			"cut": func() error { return os.Truncate(weights, 0) },
		} {
			in := &lineByLine{lines: []string{c.line, c.line}, then: func() {
				if err := change(); err != nil {
					t.Error(err)
				}
			}}
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), args, in, &stdout, &stderr)
			if code != exitBadInput || !strings.Contains(stderr.String(), weights+" changed while it was being read") ||
				strings.Contains(stderr.String(), "goroutine") || !strings.HasPrefix(whole, stdout.String()) || stdout.String() == whole {
				t.Errorf("%s, %s: exit code %d, %q\n%s", c.args[0], how, code, stdout.String(), stderr.String())
			}
			if err := os.RemoveAll(model); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(model, os.DirFS(filepath.Join(inputs(t), "models", c.model))); err != nil {
				t.Fatal(err)
			}
		}
	}
}
