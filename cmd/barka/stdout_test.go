package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullOnce is a standard output with one write that fails.
type fullOnce struct {
	bytes.Buffer
	n int // which, from 1
}

func (f *fullOnce) Write(p []byte) (int, error) {
	if f.n--; f.n == 0 {
		return 0, syscall.ENOSPC
	}
	return f.Buffer.Write(p)
}

// TestStandardOutputIsFull: if any write to standard output fails, the verb fails, and the
// output has no gap.
func TestStandardOutputIsFull(t *testing.T) {
	dir := inputs(t)
	gemma, nllb, data := filepath.Join(dir, "models", "gemma2"), filepath.Join(dir, "models", "nllb"), filepath.Join(dir, "data", "benchmarks")
	prompts := strings.Repeat("How is coffee poured?\n", 3)
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{prompts, []string{"generate", "--model", gemma, "--input", "-", "--max-tokens", "4"}},
		{"", []string{"generate", "--model", gemma, "--prompt", "x", "--raw", "--max-tokens", "8"}},
		{prompts, []string{"generate", "--model", gemma, "--input", "-", "--max-tokens", "4", "--json"}},
		{prompts, []string{"translate", "--model", nllb, "--to", "arb_Arab"}},
		{prompts, []string{"tokenize", "--model", gemma}},
		{`{"context": "2+2=", "continuations": ["4", "5"]}` + "\n", []string{"score", "--model", gemma}},
		{"", []string{"audit", "--data", data, "--tasks", filepath.Join(dir, "data", "tasks.txt")}},
		{"", []string{"eval", "--tasks", "list"}},
		{"", []string{"doctor"}},
	} {
		whole := ok(t, c.stdin, c.args...)
		for n := 1; ; n += 1 + n/4 {
			out := &fullOnce{n: n}
			var stderr bytes.Buffer
			code := run(context.Background(), c.args, strings.NewReader(c.stdin), out, &stderr)
			if out.n > 0 {
				if n == 1 {
					t.Errorf("%v wrote nothing", c.args)
				}
				break
			}
			if code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
				t.Errorf("%v, write %d: exit code %d, %s", c.args, n, code, stderr.String())
			}
			if c.args[0] != "doctor" && !strings.HasPrefix(whole, out.String()) {
				t.Errorf("%v, write %d: standard output has a hole: %q", c.args, n, out.String())
			}
		}
	}
}
