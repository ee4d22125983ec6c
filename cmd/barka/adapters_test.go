package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/parquet"
)

// logProbs reads the log-probabilities of a task's choices from a directory of
// details.
func logProbs(t *testing.T, dir, task string) []float64 {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "details_"+task+"|*.parquet"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", dir, found, err)
	}
	path := found[0]
	file, err := parquet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []float64
	for row, err := range file.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range row["predictions"].([]any) {
			out = append(out, p.([]any)[0].(float64))
		}
	}
	if len(out) < 6 {
		t.Fatalf("%s: %d log-probabilities", path, len(out))
	}
	return out
}

// evaluatedThreeWays evaluates a model, the model with its adapter, and the merged model.
// The last two must agree, and the first must not. All share one store; none may reuse
// another's scores.
func evaluatedThreeWays(t *testing.T, model, adapter, merged, data string, tolerance float64) {
	t.Helper()
	root := t.TempDir()
	evaluate := func(args ...string) []float64 {
		r := barka(t, "", append([]string{"eval", "--tasks", "copa_ext_ar", "--data", data, "--output-dir", root,
			"--dtype", "f32", "--json"}, args...)...)
		var written struct{ Details string }
		if r.code != exitDone || json.Unmarshal([]byte(r.out), &written) != nil {
			t.Fatalf("%v: exit code %d, %s %s", args, r.code, r.out, r.err)
		}
		if again := strings.Contains(args[0], "config"); again == strings.Contains(r.err, " 0 reused") {
			t.Errorf("%v: %s", args, r.err)
		}
		return logProbs(t, written.Details, "community|copa_ext_ar")
	}
	config := filepath.Join(root, "adapter.yaml")
	text := fmt.Sprintf("model:\n  base_params:\n    model_args: pretrained=%s\n  merged_weights:\n    adapter_weights: "+
		"true\n    base_model: %s\n", adapter, model)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	base := evaluate("--model", model)
	with := evaluate("--model", model, "--adapter", adapter)
	without := evaluate("--model", merged)
	lighteval := evaluate("--model_config_path", config) // the adapter once more
	changed := 0
	for i := range with {
		if math.Abs(with[i]-without[i]) > tolerance*math.Abs(with[i]) {
			t.Errorf("choice %d: %g with the adapter, %g merged", i, with[i], without[i])
		}
		if lighteval[i] != with[i] {
			t.Errorf("choice %d: %g with the adapter, %g by lighteval's file", i, with[i], lighteval[i])
		}
		if with[i] != base[i] {
			changed++
		}
	}
	if changed < len(with)/2 {
		t.Errorf("the adapter changed %d of %d choices", changed, len(with))
	}
}
