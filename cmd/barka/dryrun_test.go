package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEvalDryRun: tokens, memory and time are printed, and nothing is written. The memory
// is estimated before the model is opened, also for a model that cannot be opened.
func TestEvalDryRun(t *testing.T) {
	dir, out := inputs(t), filepath.Join(t.TempDir(), "evals")
	line := loud(evalLine(dir, out, "--dry-run"))
	r := barka(t, "", line...)
	memory, speed := strings.Index(r.err, "memory: about "),
		regexp.MustCompile(`\d+ tokens/s on a question of \d+ tokens`).FindStringIndex(r.err)
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
	if r.code != exitDone || !strings.Contains(r.err, "memory: about ") ||
		!strings.Contains(r.err, "the speed could not be measured") || !strings.Contains(r.err, "model.norm.weight") ||
		!strings.Contains(r.out, "\nall\t33\t") || !strings.Contains(r.out, "unknown") {
		t.Errorf("weights that are NaN: exit code %d, %s%s", r.code, r.out, r.err)
	}
}

// TestEvalDryRunWithAdapterFromHub: a dry run lists what has to be downloaded, and uses
// what is in the cache, as the run itself does.
func TestEvalDryRunWithAdapterFromHub(t *testing.T) {
	s, dir := testHub(t), inputs(t)
	model, trained, data := filepath.Join(dir, "models", "gemma2"), filepath.Join(t.TempDir(), "adapter"),
		filepath.Join(t.TempDir(), "data.jsonl")
	row := `{"messages": [{"role": "user", "content": "Coffee?"}, {"role": "assistant", "content": "Yes."}]}` + "\n"
	if err := os.WriteFile(data, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "train", "--quiet", "--model", model, "--data", data, "--out", trained, "--rank", "2")
	addRepo(t, s, "models", "org/adapter", trained)
	line := []string{"eval", "--tasks", "copa_ext_ar", "--data", filepath.Join(dir, "data", "benchmarks"),
		"--output-dir", filepath.Join(t.TempDir(), "evals"), "--model", model, "--adapter", "org/adapter", "--dry-run"}
	r := barka(t, "", line...)
	if r.code != exitDone || !strings.Contains(r.out, "org/adapter at commit") || !strings.Contains(r.out, "an estimate needs these files") {
		t.Errorf("not in the cache: exit code %d, %s%s", r.code, r.out, r.err)
	}
	ok(t, "", "download", "org/adapter")
	r = barka(t, "", line...)
	if r.code != exitDone || !strings.Contains(r.out, "\nall\t3\t") || strings.Contains(r.err, "could not be measured") {
		t.Errorf("in the cache: exit code %d, %s%s", r.code, r.out, r.err)
	}
	// An adapter of another model is refused before anything is counted.
	line[len(line)-2] = filepath.Join("..", "..", "testdata", "models", "gemma2", "adapter")
	if r = barka(t, "", line...); r.code != exitBadInput || !strings.Contains(r.err, "is it an adapter of") {
		t.Errorf("of another model: exit code %d, %s", r.code, r.err)
	}
}

// TestRunDryRunTotal: the least times of the stages are added, the sum has its price, and stages
// without an estimate are named.
func TestRunDryRunTotal(t *testing.T) {
	dir := inputs(t)
	line := []string{"run", filepath.Join(dir, "recipe.yaml"), "--out", filepath.Join(t.TempDir(), "out"), "--dry-run", "--json",
		"--price-per-hour", "3600000"}
	r := barka(t, "", line...)
	if r.code != exitDone {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	sum, stages := 0.0, map[string]bool{}
	for line := range strings.Lines(r.out) {
		var p struct {
			Stage   string
			Seconds float64 `json:"seconds_at_least"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		sum += p.Seconds
		stages[p.Stage] = p.Seconds > 0
	}
	if !stages["train"] || !stages["translate"] || !stages["eval base"] || stages["report"] {
		t.Errorf("stages with a time: %v", stages)
	}
	var total event
	for _, e := range events(t, r.err) {
		if e["event"] == "total" {
			total = e
		}
	}
	unknown, _ := json.Marshal(total["without_estimate"])
	if s := total.number("seconds_at_least"); sum == 0 || math.Abs(s-sum) > 1e-9 || math.Abs(total.number("cost_at_least")-1000*sum) > 1e-6 ||
		!strings.Contains(string(unknown), `"report"`) || strings.Contains(string(unknown), `"train"`) {
		t.Errorf("%v, want %g seconds", total, sum)
	}
	r = barka(t, "", "run", filepath.Join(dir, "recipe.yaml"), "--dry-run", "--price-per-hour", "2.5")
	if r.code != exitDone || !strings.Contains(r.err, "all stages: at least ") || !strings.Contains(r.err, "at 2.5 per hour; without ") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if r = barka(t, "", "run", filepath.Join(dir, "recipe.yaml"), "--price-per-hour", "2.5"); r.code != exitUsage {
		t.Errorf("without --dry-run: exit code %d", r.code)
	}
}
