package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/parquet"
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

// TestEvalOfBrokenModels: a model without a tokenizer, one whose tokenizer has no end
// token, and one with weights that are NaN.
func TestEvalOfBrokenModels(t *testing.T) {
	dir, out := inputs(t), t.TempDir()
	gemma := filepath.Join(dir, "models", "gemma2")
	line := func(model string) result {
		return barka(t, "", "eval", "--model", model, "--tasks", "copa_ext_ar,arabic_exams",
			"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out)
	}
	mute := copyOf(t, gemma)
	if err := os.Remove(filepath.Join(mute, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if r := line(mute); r.code != exitBadInput ||
		!strings.Contains(r.err, "no tokenizer found; expected tokenizer.json") || !strings.Contains(r.err, mute) {
		t.Errorf("no tokenizer: exit code %d, %s", r.code, r.err)
	}
	endless := copyOf(t, gemma)
	write(t, filepath.Join(endless, "tokenizer_config.json"),
		map[string]any{"tokenizer_class": "GemmaTokenizerFast", "bos_token": "<bos>", "add_bos_token": true})
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
			t.Errorf("weights that are NaN: exit code %d, and no %q in %s", r.code, want, r.err)
		}
	}
}

// TestEvalOfLogitsThatAreNoNumbers: weights are finite, but so large that the logits are
// NaN or infinite. eval and score refuse such results.
func TestEvalOfLogitsThatAreNoNumbers(t *testing.T) {
	dir := inputs(t)
	model := copyOf(t, filepath.Join(dir, "models", "gemma2"))
	path := filepath.Join(model, "model.safetensors")
	weights, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(weights)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(weights[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	var tensor struct {
		At [2]uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(header["model.layers.0.post_feedforward_layernorm.weight"], &tensor); err != nil {
		t.Fatal(err)
	}
	data := weights[8+size:]
	for i := tensor.At[0]; i < tensor.At[1]; i++ {
		data[i] = 0x7f // pairs of it are bfloat16's largest finite numbers
	}
	if err := os.WriteFile(path, weights, 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "evals")
	r := barka(t, "", "eval", "--model", model, "--tasks", "copa_ext_ar,acva:Algeria",
		"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out)
	for _, want := range []string{"2 of 2 tasks", "community|copa_ext_ar", "question 1 ", "NaN"} {
		if r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("exit code %d, and no %q in %s", r.code, want, r.err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(out, "results", "*", "*.json")); len(files) != 0 {
		t.Errorf("results of numbers that are none: %v", files)
	}
	r = barka(t, `{"context": "", "continuations": ["a b"]}`, "score", "--model", model)
	if r.code != exitBadInput || r.out != "" || !strings.Contains(r.err, "line 1: continuation 1 has log-probability NaN") {
		t.Errorf("score: exit code %d, %q, %s", r.code, r.out, r.err)
	}
}

// TestEvalLeavesBadTasksOut: the other tasks run and are printed, and the exit code reports
// the bad ones.
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

// TestEvalNamesATaskOnce: an error contains the task's name once. If no task is left, no
// results are printed.
func TestEvalNamesATaskOnce(t *testing.T) {
	dir := inputs(t)
	r := barka(t, "", "eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", "community|arabic_exams|9|0",
		"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", t.TempDir(), "--quiet")
	_, list, _ := strings.Cut(r.err, "could not be run:")
	if r.code != exitBadInput || strings.Count(list, "community|arabic_exams") != 1 || !strings.Contains(list, "9 examples are requested") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	if strings.Contains(r.out, "results") {
		t.Errorf("no task is left, and the output is %q", r.out)
	}
}

const copaHead = "premise,choice1,choice2,question,label\n"

// withCopa returns testdata/chain's benchmarks with another text in COPA's file.
func withCopa(t *testing.T, name, text string) (dir, file string) {
	t.Helper()
	dir = inputs(t)
	copa := filepath.Join(dir, "data/benchmarks/OALL/AlGhafa-Arabic-LLM-Benchmark-Translated/copa_ext_ar")
	if err := os.Remove(filepath.Join(copa, "test.jsonl")); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(copa, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// TestEvalRefusesBadFiles: the task is left out with its file, row and reason, the other
// task runs, and the exit code is 3.
func TestEvalRefusesBadFiles(t *testing.T) {
	type row struct {
		Premise  string `parquet:"premise"`
		Choice1  string `parquet:"choice1"`
		Choice2  string `parquet:"choice2"`
		Question string `parquet:"question"`
		Label    int64  `parquet:"label"`
	}
	path := filepath.Join(t.TempDir(), "x.parquet")
	if err := parquet.WriteFile(path, []row{{"ا", "ب", "ج", "cause", 0}, {"ا", "ب", "\xff", "cause", 1}}); err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	packed := string(bytes)
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"missing column": {"test.csv", "premise,choice1,choice2,question\nا,ب,ج,cause\n",
			[]string{"row 1", `column "label" is missing; the file has premise, choice1, choice2, question`}},
		"renamed column": {"test.csv", "premise,first,choice2,question,label\nا,ب,ج,cause,0\n",
			[]string{"row 1", `column "choice1" is missing; the file has premise, first`}},
		"answer outside": {"test.csv", copaHead + "ا,ب,ج,cause,0\nا,ب,ج,cause,2\n",
			[]string{"row 2", "number 2 (counted from 0) of 2 choices"}},
		"empty choice":  {"test.csv", copaHead + "ا,,ج,cause,0\n", []string{"row 1", "choice 0 (counted from 0) is empty"}},
		"CSV not UTF-8": {"test.csv", copaHead + "ا,\xff,ج,cause,0\n", []string{"not UTF-8"}},
		"CSV column twice": {"test.csv", "premise,choice1,choice2,question,label,label\nا,ب,ج,cause,0,0\n",
			[]string{`column "label" appears twice`}},
		"CSV quote open": {"test.csv", copaHead + "ا,\"ب,ج,cause,0\n", []string{"record 2", "not closed"}},
		"JSON cut": {"test.json", `[{"premise": "ا", "choice1": "ب", "choice2": "ج", "question": "cause", "label": 0},`,
			[]string{"the list is not closed after row 1"}},
		"JSON too deep":     {"test.jsonl", `{"premise": ` + strings.Repeat("[", 1<<16), []string{"row 1", "max depth"}},
		"JSON of a list":    {"test.json", `[["ا", "ب"]]`, []string{"row 1", "expected an object"}},
		"parquet cut":       {"test.parquet", packed[:len(packed)/2], nil},
		"parquet too long":  {"test.parquet", packed[:len(packed)-8] + "\xff\xff\xff\x7fPAR1", nil},
		"parquet not UTF-8": {"test.parquet", packed, []string{"row 2", `column "choice2"`, "not UTF-8"}},
		"gzip of no gzip":   {"test.jsonl.gz", "{}", nil},
	} {
		dir, file := withCopa(t, c.file, c.text)
		out := filepath.Join(t.TempDir(), "evals")
		r := barka(t, "", "eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", "copa_ext_ar,acva:Algeria",
			"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out, "--quiet", "--max-samples", "1")
		for _, want := range append(c.want, "1 of 2 tasks", "community|copa_ext_ar", file) {
			if r.code != exitBadInput || !strings.Contains(r.err, want) {
				t.Errorf("%s: exit code %d, and no %q in %s", name, r.code, want, r.err)
			}
		}
		if !strings.Contains(r.out, "acva:Algeria") || strings.Contains(r.out, "copa_ext_ar") {
			t.Errorf("%s: the other task's results: %s", name, r.out)
		}
	}
}

// oneTask evaluates COPA and returns the command's result and the rows of the details.
func oneTask(t *testing.T, dir, model string, more ...string) (result, []map[string]any) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "evals")
	r := barka(t, "", append([]string{"eval", "--model", model, "--tasks", "copa_ext_ar",
		"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out}, more...)...)
	found, err := filepath.Glob(filepath.Join(out, "details", "*", "*", "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for _, path := range found {
		for row, err := range parquet.Read[map[string]any](path) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return r, rows
}

// TestEvalOfLongRows: a row longer than the context is scored without its left end, and the
// details count the tokens cut.
func TestEvalOfLongRows(t *testing.T) {
	dir, _ := withCopa(t, "test.csv", copaHead+strings.Repeat("ا ب ت ث ", 900)+",بب,ج,cause,0\n")
	r, rows := oneTask(t, dir, filepath.Join(dir, "models", "gemma2"))
	if r.code != exitDone || len(rows) != 1 {
		t.Fatalf("exit code %d, %d rows: %s", r.code, len(rows), r.err)
	}
	if cut := fmt.Sprint(rows[0]["truncated"]); cut == "[0 0]" || rows[0]["num_effective_few_shots"] != int64(-1) {
		t.Errorf("truncated %s, %v examples", cut, rows[0]["num_effective_few_shots"])
	}
}

// TestEvalOfChoicesWithoutTokens: if the tokenizer strips a choice to nothing, its
// probability is 1, as in the reference, and a warning says so.
func TestEvalOfChoicesWithoutTokens(t *testing.T) {
	dir, _ := withCopa(t, "test.csv", copaHead+"ا,بب,ج,cause,0\n")
	model := copyOf(t, filepath.Join(dir, "models", "gemma2"))
	path := filepath.Join(model, "tokenizer.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tokenizer map[string]any
	if err := json.Unmarshal(text, &tokenizer); err != nil {
		t.Fatal(err)
	}
	without := map[string]any{"type": "Replace", "pattern": map[string]any{"String": "الإجابة:بب"}, "content": "الإجابة:"}
	tokenizer["normalizer"] = map[string]any{"type": "Sequence", "normalizers": []any{without, tokenizer["normalizer"]}}
	write(t, path, tokenizer)
	r, rows := oneTask(t, dir, model)
	if r.code != exitDone || len(rows) != 1 || !strings.HasPrefix(fmt.Sprint(rows[0]["predictions"]), "[[0 1] [-") {
		t.Errorf("exit code %d, %v: %s", r.code, rows, r.err)
	}
	if !strings.Contains(r.err, "choices whose only token") || !strings.Contains(r.err, "copa_ext_ar") {
		t.Errorf("no warning: %s", r.err)
	}
	if r, rows := oneTask(t, dir, model, "--border", "guarded"); r.code != exitDone || len(rows) != 1 ||
		!strings.HasPrefix(fmt.Sprint(rows[0]["predictions"]), "[[-") {
		t.Errorf("guarded: exit code %d, %v: %s", r.code, rows, r.err)
	}
}

// TestEvalWhereDetailsExist: details of earlier runs stay; a file with the name of the
// details' directory is refused.
func TestEvalWhereDetailsExist(t *testing.T) {
	dir := inputs(t)
	line := func(out string) result {
		return barka(t, "", "eval", "--model", filepath.Join(dir, "models", "gemma2"), "--tasks", "acva:Algeria", "--max-samples", "1",
			"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", out, "--quiet")
	}
	out := t.TempDir()
	old := filepath.Join(out, "details", "x", "old.parquet")
	if err := os.MkdirAll(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := line(out); r.code != exitDone {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if text, err := os.ReadFile(old); err != nil || string(text) != "old" {
		t.Errorf("the earlier details: %q, %v", text, err)
	}
	out = t.TempDir()
	file := filepath.Join(out, "details")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := line(out); r.code != exitBadInput || !strings.Contains(r.err, file) {
		t.Errorf("a file in place of the details: exit code %d: %s", r.code, r.err)
	}
}
