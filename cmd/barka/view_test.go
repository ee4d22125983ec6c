package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestView: the page has kept and rejected rows, and a limit is reported; an input is never
// overwritten.
func TestView(t *testing.T) {
	made := madeRun(t)
	clean, page := filepath.Join(made, "4-clean"), filepath.Join(t.TempDir(), "page.html")
	out := ok(t, "", "view", clean, "--out", page)
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(out, "26 rows in ") || !strings.Contains(string(text), `"r":"elongation"`) {
		t.Errorf("%v, %s", err, out)
	}
	r := barka(t, "", "view", clean, "--out", page, "--limit", "5", "--where", "form=question", "--json")
	if r.code != exitDone || !strings.Contains(r.out, `"rows":5,"left_out":[{"part":"kept"`) || !strings.Contains(r.err, "not on the page") {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	rows := filepath.Join(made, "inputs", "data", "questions.jsonl")
	for _, args := range [][]string{{rows, "--out", rows}, {filepath.Join(made, "none"), "--out", page},
		{clean, "--out", page, "--review", rows}} {
		if r := barka(t, "", append([]string{"view"}, args...)...); r.code != exitBadInput {
			t.Errorf("view %v: %d, %s", args, r.code, r.err)
		}
	}
}
