package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrainEvaluates: barka train --eval downloads what is missing, shows the scores before and
// after, and answers prompts; a dry run counts the evaluations and downloads nothing.
func TestTrainEvaluates(t *testing.T) {
	s, dir := testHub(t), inputs(t)
	addRepo(t, s, "datasets", "OALL/ACVA", filepath.Join(dir, "data", "benchmarks", "OALL", "ACVA"))
	work := t.TempDir()
	data, prompts, out := filepath.Join(work, "data.jsonl"), filepath.Join(work, "prompts.txt"), filepath.Join(work, "out")
	row := `{"messages": [{"role": "user", "content": "Coffee?"}, {"role": "assistant", "content": "Yes."}]}` + "\n"
	for path, text := range map[string]string{data: row, prompts: "Coffee?\nما هي القهوة؟\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(more ...string) result {
		return barka(t, "", append([]string{"train", "--model", filepath.Join(dir, "models", "gemma2"), "--data", data, "--out", out,
			"--rank", "4", "--lr", "0.01", "--max-steps", "4", "--dtype", "f32"}, more...)...)
	}
	const tasks = "community|acva:Algeria|0|1,community|acva:Arabic_Calligraphy|0|1"
	r := line("--eval", "nosuch")
	if r.code != exitBadInput || !strings.Contains(r.err, "train: eval: ") || !strings.Contains(r.err, "nosuch") {
		t.Errorf("unknown tasks: exit code %d, %s", r.code, r.err)
	}
	r = line("--eval", tasks, "--dry-run", "--probe", "0")
	if r.code != exitBadInput || !strings.Contains(r.err, "from 1 datasets to download") {
		t.Errorf("dry run without the data: exit code %d, %s", r.code, r.err)
	}
	r = line("--eval", tasks, "--eval-max-samples", "4", "--every", "2", "--sample-prompts", prompts, "--sample-tokens", "4")
	if r.code != exitDone || !strings.Contains(r.err, "evaluation before the first step, 8 questions: ACVA ") ||
		!strings.Contains(r.err, "evaluation after step 2/4, 8 questions: ACVA ") || !strings.Contains(r.err, "evaluation after step 4/4") ||
		strings.Count(r.err, "sample 2 after step") != 3 || !strings.Contains(r.err, "ما هي القهوة؟ → ") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	r = line("--eval", tasks, "--dry-run", "--every", "2", "--price-per-hour", "2.5")
	if r.code != exitDone || !strings.Contains(r.out, "; 3 evaluations of ") || !strings.Contains(r.out, "which costs") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	lines, err := os.ReadFile(filepath.Join(out, "samples.jsonl"))
	if n := strings.Count(string(lines), "\n"); err != nil || n != 6 {
		t.Errorf("%d samples: %s %v", n, lines, err)
	}
}
