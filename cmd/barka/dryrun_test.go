package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEvalDryRun: tokens, memory and time are told, nothing is written, and
// what the model takes is known before it is opened: a plan is printed of one
// that cannot be.
func TestEvalDryRun(t *testing.T) {
	dir, out := inputs(t), filepath.Join(t.TempDir(), "evals")
	line := loud(evalLine(dir, out, "--dry-run"))
	r := barka(t, "", line...)
	memory, speed := strings.Index(r.err, "memory: about "), regexp.MustCompile(`\d+ tokens/s on a question of \d+ tokens`).FindStringIndex(r.err)
	if r.code != exitDone || memory < 0 || speed == nil || speed[0] < memory {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	if !strings.HasPrefix(r.out, "task\tquestions\trequests\tcut\ttokens\tshared\trun\ttime\n") || !strings.Contains(r.out, "\nall\t33\t") {
		t.Errorf("plan %s", r.out)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a dry run wrote files")
	}
	path := filepath.Join(dir, "models", "gemma2", "model.safetensors")
	weights, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 192 { // the last norm's
		weights[len(weights)-1-i] = 0xff
	}
	if err := os.WriteFile(path, weights, 0o644); err != nil {
		t.Fatal(err)
	}
	r = barka(t, "", line...)
	if r.code != exitDone || !strings.Contains(r.err, "memory: about ") || !strings.Contains(r.err, "the speed could not be measured") || !strings.Contains(r.err, "model.norm.weight") ||
		!strings.Contains(r.out, "\nall\t33\t") || !strings.Contains(r.out, "unknown") {
		t.Errorf("weights that are no numbers: exit code %d, %s%s", r.code, r.out, r.err)
	}
}
