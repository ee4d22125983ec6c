package backend

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval"
	"barka/internal/eval/evaltest"
	"barka/internal/eval/tasks"
	"barka/internal/golden"
)

// goldens holds the output of lighteval 0.3.0, with transformers, for the evaluation's
// fixture; reference/evaluation/run.py wrote it.
const goldens = "../eval/testdata/lighteval"

// lightevalCase has the settings of one run.
type lightevalCase struct {
	Model, DType, Tasks string
	Batch               int
	Chat                bool
	MaxSamples          int `json:"max_samples"`
}

// modelDir returns testdata/chain's model, or a reference checkpoint with a byte
// tokenizer.
func (c lightevalCase) modelDir(t *testing.T) string {
	t.Helper()
	if c.Model == "demo" {
		return gemma
	}
	dir := t.TempDir()
	for _, path := range []string{golden.Dir(c.Model) + "/config.json", golden.Dir(c.Model) + "/model.safetensors",
		goldens + "/bytes/tokenizer.json", goldens + "/bytes/tokenizer_config.json"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (c lightevalCase) run(t *testing.T) *eval.Outcome {
	t.Helper()
	e := NewEngine(2, map[string]string{"float32": "f32", "bfloat16": "bf16"}[c.DType], nil)
	t.Cleanup(func() { e.Device.(interface{ Close() }).Close() })
	d, err := e.OpenDecoder(c.modelDir(t), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.EvalModel()
	if err != nil {
		t.Fatal(err)
	}
	selected, err := tasks.ParseList(c.Tasks)
	if err != nil {
		t.Fatal(err)
	}
	out, err := eval.Run(t.Context(), m, eval.Options{
		Tasks: selected, DataDir: "../eval/testdata/hub", OutputDir: t.TempDir(), BatchSize: c.Batch,
		MaxSamples: c.MaxSamples, UseChatTemplate: c.Chat,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLighteval: the result file has the same text, except for times, the model's path and
// what lighteval changed between 0.3.0 and May 2024. The log-likelihoods are equal up to
// the rounding of sums.
func TestLighteval(t *testing.T) {
	files, err := filepath.Glob(goldens + "/*/case.json")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c lightevalCase
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			out := c.run(t)
			if c.DType == "float32" {
				compareResults(t, filepath.Join(dir, "results.json"), out.ResultsPath)
			}
			compareScores(t, c, filepath.Join(dir, "scores.tsv"), out.DetailsDir)
		})
	}
}

var (
	// volatile lists times, the model's path, and its size, for which lighteval counts
	// buffers that transformers computes at loading.
	volatile = regexp.MustCompile(`(?m)^    "(start_time|end_time|total_evaluation_time_secondes|model_name|model_size)": .*$`)
	// later lists the settings of a task that 0.3.0 does not write.
	later = regexp.MustCompile(`(?m)^      "num_samples": null,\n|,\n      "version": 0$`)
	// configs is the part that the recorded files contain only once.
	configs = regexp.MustCompile(`(?s)  "config_tasks": \{.*\n  \},\n(  "summary_tasks")`)
)

func compareResults(t *testing.T, want, got string) {
	t.Helper()
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return later.ReplaceAllString(volatile.ReplaceAllString(string(data), `    "$1"`), "")
	}
	recorded, ours := read(want), read(got)
	if !strings.Contains(recorded, `"config_tasks"`) {
		ours = configs.ReplaceAllString(ours, "$1")
	}
	if diff := cmp.Diff(strings.Split(recorded, "\n"), strings.Split(ours, "\n")); diff != "" {
		t.Errorf("results:\n%s", diff)
	}
}

// compareScores compares every choice. In float32, sums of up to a hundred terms in another
// order agree within 5e-5. In bfloat16, torch rounds after every operation and barka does
// not, so that a choice of several tokens may differ by 0.5.
func compareScores(t *testing.T, c lightevalCase, path, details string) {
	t.Helper()
	tolerance := map[string]float64{"float32": 5e-5, "bfloat16": 0.5}[c.DType]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string][]map[string]any{}
	worst, choices := 0.0, 0
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if ours[f[0]] == nil {
			ours[f[0]] = detailRows(t, details, f[0])
		}
		row := ours[f[0]][0]
		ours[f[0]] = ours[f[0]][1:]
		var scores, greedy []float64
		if err := json.Unmarshal([]byte(f[1]), &scores); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(f[2]), &greedy); err != nil {
			t.Fatal(err)
		}
		for i, p := range row["predictions"].([]any) {
			pair := p.([]any)
			worst = max(worst, math.Abs(pair[0].(float64)-scores[i]))
			choices++
			if pair[1] != greedy[i] {
				t.Errorf("%s: greedy %v, want %v", f[0], pair[1], greedy[i])
			}
		}
		for i, name := range []string{"truncated", "padded"} {
			if got := strings.ReplaceAll(fmt.Sprint(row[name]), " ", ", "); got != f[3+i] {
				t.Errorf("%s: %s %s, want %s", f[0], name, got, f[3+i])
			}
		}
		if value := fmt.Sprint(row["metrics"]); c.DType == "float32" && !strings.HasSuffix(value, ":"+f[5]+"]") {
			t.Errorf("%s: %s, want %s", f[0], value, f[5])
		}
	}
	for task, left := range ours {
		if len(left) > 0 {
			t.Errorf("%s: %d rows too many", task, len(left))
		}
	}
	if worst > tolerance || math.IsNaN(worst) || choices == 0 {
		t.Errorf("log-likelihoods of %d choices differ by up to %g, want %g", choices, worst, tolerance)
	}
	t.Logf("%d choices, differences up to %.2g", choices, worst)
}

func detailRows(t *testing.T, dir, task string) []map[string]any {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "details_"+task+"_*.parquet"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return evaltest.ReadDetails(t, found[0])
}
