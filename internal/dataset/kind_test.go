package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput/badinputtest"
)

// TestRequire: rows of another kind are refused with what they are and what is
// needed, in every form that a dataset has.
func TestRequire(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	set := filepath.Join(dir, "passages")
	writeSet(t, set, 3)
	parts, err := filepath.Glob(filepath.Join(set, "*.parquet"))
	if err != nil || len(parts) == 0 {
		t.Fatal("no parquet file", err)
	}
	for _, path := range []string{set, parts[0], file("p.jsonl", `{"id":"1","text":"x"}`+"\n")} {
		if err := Require(path, Passages); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		badinputtest.Want(t, Require(path, Instructions), path, "holds passages", "expected instructions", `"messages"`, "columns ")
	}
	for text, holds := range map[string]string{
		`{"conversations":[]}`:                    "ShareGPT",
		`{"full_prompt":"x","gold":[]}`:           "rows of an evaluation (columns full_prompt, gold)",
		`{"question":"x","choices":[],"label":0}`: "questions of a benchmark",
		`{"a":1}`: "rows of an unknown kind (columns a)",
	} {
		path := file("other.jsonl", text+"\n")
		badinputtest.Want(t, Require(path, Instructions), holds, "expected instructions")
		badinputtest.Want(t, Require(path, Passages), holds, "expected passages")
	}
	for _, path := range []string{file("messages.jsonl", `{"messages":[]}`+"\n"), file("empty.jsonl", ""), file("list.jsonl", "[1]\n")} {
		if err := Require(path, Instructions); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	badinputtest.Want(t, Require(filepath.Join(dir, "none"), Passages), "none")
	badinputtest.Want(t, Require(file("broken.parquet", "x"), Passages), "broken.parquet")
}
