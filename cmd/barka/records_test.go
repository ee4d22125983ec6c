package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/jsonl"
)

// chainRun is a record stage on testdata/chain's data whose input is the file that
// the stage before it wrote.
type chainRun struct {
	name string
	args []string
	rows int
}

// TestOutAsJSONLines runs the six record stages with files of JSON lines from end to end.
// Each file has the rows of the dataset directory beside it; the same command leaves it
// alone; a lost file comes back; an interrupted command ends in the same files.
func TestOutAsJSONLines(t *testing.T) {
	data, work := inputs(t), t.TempDir()
	model := func(name string) string { return filepath.Join(data, "models", name) }
	file := func(name string) string { return filepath.Join(work, name) }
	for _, c := range []chainRun{
		{"passages.jsonl", []string{"wiki", "--dump", filepath.Join(data, "data", "pages.xml"), "--licence", "CC0 1.0"}, 26},
		{"new.jsonl.gz", []string{"synth", "--in", file("passages.jsonl"), "--model", model("gemma2"), "--max-tokens", "60",
			"--prompts", filepath.Join(data, "prompts")}, 0},
		{"questions.jsonl", []string{"convert", "alpaca", "--data", filepath.Join(data, "data", "questions.jsonl"), "--licence", "CC0 1.0"}, 6},
		{"translated.jsonl.zst", []string{"translate", "--in", file("questions.jsonl"), "--model", model("nllb"), "--to", "arb_Arab"}, 6},
		{"clean.jsonl", []string{"filter", "--in", file("translated.jsonl.zst")}, 6},
		{"mixed.jsonl.gz", []string{"mix", "--in", "a=" + file("clean.jsonl"), "--validation", "0.5"}, -1},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			out := file(c.name)
			args := append(append([]string{}, c.args...), "--quiet", "--out", out)
			ok(t, "", args...)
			dir, _ := beside(out)
			rows := exported(t, out, dir)
			if c.rows > 0 && rows != c.rows || rows == 0 {
				t.Errorf("%d rows, want %d", rows, c.rows)
			}
			if c.args[0] == "mix" && exported(t, file("mixed.validation.jsonl.gz"), filepath.Join(dir, "validation")) == 0 {
				t.Error("no validation rows")
			}
			before := modified(t, out)
			ok(t, "", args...)
			if !modified(t, out).Equal(before) {
				t.Error("the same command wrote the file again")
			}
			os.Remove(out)
			ok(t, "", args...)
			exported(t, out, dir)
			interruptedExport(t, args, out, dir)
		})
	}
}

// interruptedExport runs a command that is interrupted early, late and between, each time
// from the beginning, and then whole.
func interruptedExport(t *testing.T, args []string, out, dir string) {
	t.Helper()
	want := contents(t, filepath.Dir(out))
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond} {
		os.Remove(out)
		os.RemoveAll(dir)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		if r := interrupted(ctx, "", args...); r.code != exitDone && r.code != exitInterrupted {
			t.Fatalf("exit code %d: %s", r.code, r.err)
		}
		cancel()
		if _, err := os.Stat(out); err == nil && !dataset.HasManifest(dir) {
			t.Error("the file is there before its dataset directory")
		}
		ok(t, "", args...)
		if got := contents(t, filepath.Dir(out)); len(got) != len(want) || string(got[filepath.Base(out)]) != string(want[filepath.Base(out)]) {
			t.Errorf("interrupted after %v: other files in the end", after)
		}
	}
}

// exported compares a file with the dataset directory of its rows and returns their
// number.
func exported(t *testing.T, file, dir string) int {
	t.Helper()
	same, n := 0, 0
	var ids []string
	for row, err := range dataset.Rows[map[string]any](t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, row["id"].(string))
	}
	for row, err := range jsonl.Read[map[string]any](file) {
		if err != nil {
			t.Fatal(err)
		}
		if n < len(ids) && row["id"] == ids[n] {
			same++
		}
		n++
	}
	if same != len(ids) || n != len(ids) {
		t.Errorf("%s: %d rows, %d of them those of %s, which has %d", file, n, same, dir, len(ids))
	}
	return n
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// TestOutNeverDestroys: a file that this command would not write stays, whatever it is,
// until --restart; an input is never replaced.
func TestOutNeverDestroys(t *testing.T) {
	work := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(work, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	row := dataset.Instruction{ID: "1", Dataset: "d", Form: "choice", Language: "arb_Arab",
		Messages: []chat.Message{{Role: "user", Content: "ما القهوة؟"}, {Role: "assistant", Content: "مشروب من البن"}}}
	in, err := jsonl.Create(filepath.Join(work, "in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Write(row); err == nil {
		err = in.Close()
	}
	source := filepath.Join(work, "in.jsonl")
	mine := file("mine.jsonl", "my notes\n")
	for _, c := range []struct {
		out   string
		words string
	}{
		{source, "overlaps input"},
		{mine, "mine.jsonl exists, but not the dataset directory"},
		{filepath.Join(work, ".jsonl"), "has no name"},
		{filepath.Join(work, "in.jsonl", "x.jsonl"), "in.jsonl"},
	} {
		r := barka(t, "", "filter", "--in", source, "--out", c.out)
		if r.code != exitBadInput || !strings.Contains(r.err, c.words) {
			t.Errorf("--out %s: exit code %d, %s", c.out, r.code, r.err)
		}
	}
	if r := barka(t, "", "filter", "--restart", "--in", source, "--out", source); r.code != exitBadInput {
		t.Errorf("--restart onto the input: %d, %s", r.code, r.err)
	}
	ok(t, "", "filter", "--in", source, "--out", filepath.Join(work, "set"))
	if r := barka(t, "", "filter", "--in", filepath.Join(work, "set"), "--out", filepath.Join(work, "set.jsonl")); r.code != exitBadInput ||
		!strings.Contains(r.err, "with the output") {
		t.Errorf("directory beside the file is the input: %d, %s", r.code, r.err)
	}
	if data, _ := os.ReadFile(mine); string(data) != "my notes\n" {
		t.Error("a foreign file was changed")
	}
	ok(t, "", "filter", "--restart", "--in", source, "--out", mine)
	if n := exported(t, mine, filepath.Join(work, "mine")); n != 1 {
		t.Errorf("%d rows", n)
	}
	file("mine.jsonl", "changed\n") // after it was made
	if r := barka(t, "", "filter", "--in", source, "--out", mine); r.code != exitBadInput || !strings.Contains(r.err, "move it away") {
		t.Errorf("a changed file: %d, %s", r.code, r.err)
	}
}
