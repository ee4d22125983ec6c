package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copyOf copies a directory, for a test to damage.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEvalOfBrokenModels: a model without a tokenizer, one whose tokenizer
// names no end, and one whose weights are no numbers.
func TestEvalOfBrokenModels(t *testing.T) {
	dir, out := inputs(t), t.TempDir()
	gemma := filepath.Join(dir, "models", "gemma2")
	line := func(model string) result {
		return barka(t, "", "eval", "--model", model, "--tasks", "copa_ext_ar,arabic_exams", "--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out)
	}
	mute := copyOf(t, gemma)
	if err := os.Remove(filepath.Join(mute, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if r := line(mute); r.code != exitBadInput || !strings.Contains(r.err, "no tokenizer found; expected tokenizer.json") || !strings.Contains(r.err, mute) {
		t.Errorf("no tokenizer: exit code %d, %s", r.code, r.err)
	}
	endless := copyOf(t, gemma)
	write(t, filepath.Join(endless, "tokenizer_config.json"), map[string]any{"tokenizer_class": "GemmaTokenizerFast", "bos_token": "<bos>", "add_bos_token": true})
	if r := line(endless); r.code != exitBadInput || !strings.Contains(r.err, "eos_token") {
		t.Errorf("no end token: exit code %d, %s", r.code, r.err)
	}
	// The file ends with the last norm's weights, 96 of two bytes.
	broken := copyOf(t, gemma)
	path := filepath.Join(broken, "model.safetensors")
	weights, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 192 {
		weights[len(weights)-1-i] = 0xff
	}
	if err := os.WriteFile(path, weights, 0o644); err != nil {
		t.Fatal(err)
	}
	r := line(broken)
	for _, want := range []string{broken, "tensor model.norm.weight", "position 0 is NaN"} {
		if r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("weights that are no numbers: exit code %d, and no %q in %s", r.code, want, r.err)
		}
	}
}

// TestEvalLeavesBadTasksOut: the others run and are printed, and the exit code
// tells of the bad ones.
func TestEvalLeavesBadTasksOut(t *testing.T) {
	dir := inputs(t)
	data := filepath.Join(dir, "data", "benchmarks")
	found, err := filepath.Glob(filepath.Join(data, "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/copa_ext_ar/test*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(filepath.Dir(found[0]), "test.csv")
	if err := os.WriteFile(bad, []byte("premise,choice1,choice2,question,label\nا,ب,ج,cause,0\nا,ب,ج,cause,5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "evals")
	r := barka(t, "", evalLine(dir, out, "--max-samples", "2")...)
	for _, want := range []string{"1 of 5 tasks", "community|copa_ext_ar", "row 2", "number 5", bad} {
		if r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("exit code %d, and no %q in %s", r.code, want, r.err)
		}
	}
	if !strings.Contains(r.out, "arabic_exams") || strings.Contains(r.out, "copa_ext_ar") || !strings.Contains(r.out, "results: ") {
		t.Errorf("the other tasks' results: %s", r.out)
	}
}

// TestEvalNamesATaskOnce: an error has the task's name once, and where no task
// is left there are no results to tell of.
func TestEvalNamesATaskOnce(t *testing.T) {
	dir := inputs(t)
	r := barka(t, "", "eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", "community|arabic_exams|9|0",
		"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", t.TempDir(), "--quiet")
	_, list, _ := strings.Cut(r.err, "could not be run:")
	if r.code != exitBadInput || strings.Count(list, "community|arabic_exams") != 1 || !strings.Contains(list, "9 examples are asked for") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	if strings.Contains(r.out, "results") {
		t.Errorf("no task is left, and the output is %q", r.out)
	}
}
