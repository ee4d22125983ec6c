package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTranslateColumns: --columns writes lines with the row's own columns, and needs a file.
func TestTranslateColumns(t *testing.T) {
	model := filepath.Join(inputs(t), "models", "nllb")
	in, out := filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(in, []byte(`{"q":"How is coffee poured?","n":1.50}`), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"translate", "--model", model, "--in", in, "--columns", "q", "--checks", "off", "--max-length", "40", "--memory",
		"off"}
	ok(t, "", append(args, "--out", out)...)
	row, err := os.ReadFile(out)
	if err != nil || !strings.HasPrefix(string(row), `{"n":1.50,"q":"`) ||
		!strings.HasSuffix(string(row), `","q_source":"How is coffee poured?"}`+"\n") {
		t.Errorf("%s, %v", row, err)
	}
	r := barka(t, "", append(args, "--out", filepath.Join(t.TempDir(), "out"))...)
	if r.code != exitUsage || !strings.Contains(r.err, "--columns") {
		t.Errorf("a directory: %v", r)
	}
}

// TestTranslateRemembers: a second dataset of the same rows is translated from the memory, to
// the same rows; a file that is no memory is bad input, and off uses none.
func TestTranslateRemembers(t *testing.T) {
	dir := inputs(t)
	in := filepath.Join(t.TempDir(), "in.jsonl")
	row := `{"id":"1","messages":[{"role":"user","content":"How is coffee poured?"},{"role":"assistant","content":"From a pot. It is hot."}]}`
	if err := os.WriteFile(in, []byte(row), 0o644); err != nil {
		t.Fatal(err)
	}
	memory := filepath.Join(t.TempDir(), "memory.db")
	translate := func(memory string, args ...string) (result, string) {
		out := filepath.Join(t.TempDir(), "out.jsonl")
		r := barka(t, "", append([]string{"translate", "--model", filepath.Join(dir, "models", "nllb"), "--in", in, "--out", out, "--json",
			"--checks", "off", "--max-length", "40", "--memory", memory}, args...)...)
		rows, _ := os.ReadFile(out)
		return r, string(rows)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	first, want := translate(memory, "--report", page)
	second, got := translate(memory)
	without, alone := translate("off")
	if first.code != exitDone || second.code != exitDone || without.code != exitDone || want == "" || got != want || alone != want {
		t.Fatalf("%v\n%v\n%v\n%s\n%s\n%s", first, second, without, want, got, alone)
	}
	for text, in := range map[string]string{`"translated":3,"remembered":0`: first.err, `"translated":0,"remembered":3`: second.err} {
		if !strings.Contains(in, text) {
			t.Errorf("no %s in %s", text, in)
		}
	}
	if strings.Contains(without.err, "remembered") {
		t.Errorf("a memory that is off: %s", without.err)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "How is coffee poured?") {
		t.Errorf("the report: %v, %.400s", err, html)
	}
	if r, _ := translate(in); r.code != exitBadInput || !strings.Contains(r.err, in) || !strings.Contains(r.err, "no translation memory") {
		t.Errorf("a file that is no memory: %v", r)
	}
	for _, flag := range []string{"--memory", "--report"} {
		if r := barka(t, "", "translate", "--model", "x", flag, "y"); r.code != exitUsage || !strings.Contains(r.err, flag) {
			t.Errorf("%s for lines: %v", flag, r)
		}
	}
}
