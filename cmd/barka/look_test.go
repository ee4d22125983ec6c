package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// madeRun runs the recipe of testdata/chain and returns its directory.
func madeRun(t *testing.T) string {
	t.Helper()
	made := filepath.Join(t.TempDir(), "made")
	ok(t, "", append(runChain(t, made), "--quiet")...)
	return made
}

// TestShow: rows of every kind of input are printed, chosen by the flags; what does not
// exist is named.
func TestShow(t *testing.T) {
	made := madeRun(t)
	in := func(name ...string) string { return filepath.Join(append([]string{made}, name...)...) }
	for _, c := range []struct {
		args  []string
		words []string
		rows  int // headings
	}{
		{[]string{made}, []string{"1-passages\twiki\t26\t3", "5-mix\tmix\t"}, 0},
		{[]string{in("3-translated"), "-n", "2"}, []string{"    أين تقع الجزائر", "    │ Where does Algeria lie",
			"translated by models/nllb"}, 2},
		{[]string{in("3-translated"), "--limit", "0"}, nil, 26},
		{[]string{in("1-passages"), "--skip", "25"}, []string{"CC0 1.0"}, 1},
		{[]string{in("4-clean"), "--rejected", "-n", "3"}, []string{"rejected, elongation: message", "rejected, repetition: message"}, 2},
		{[]string{in("4-clean"), "--rejected=elongation", "-n", "1"}, []string{"rejected, elongation"}, 1},
		{[]string{in("4-clean"), "--where", "form=question", "--where", "messages~القهوة", "-n", "1"},
			[]string{"question"}, 1},
		{[]string{in("4-clean"), "--where", "form=choice"}, nil, 0},
		{[]string{in("5-mix"), "--sample", "5"}, nil, 5},
		{[]string{in("5-mix"), "-n", "1", "--columns", "licence,id"}, []string{"  licence: CC0"}, 1},
		{[]string{in("3-translated"), "-n", "1", "--bidi", "isolate"}, []string{"\u2067أين تقع"}, 1},
		{[]string{in("3-translated"), "-n", "1", "--bidi", "reorder"}, []string{"ﻊﻘﺗ ﻦﻳﺃ"}, 1},
		{[]string{in("inputs", "data", "questions.jsonl"), "-n", "1"}, []string{"instruction"}, 1},
	} {
		out := ok(t, "", append([]string{"show"}, c.args...)...)
		for _, w := range c.words {
			if !strings.Contains(out, w) {
				t.Errorf("show %v lacks %q:\n%s", c.args, w, out)
			}
		}
		if n := strings.Count("\n"+out, "\n── "); n != c.rows {
			t.Errorf("show %v: %d rows, want %d", c.args, n, c.rows)
		}
	}
	var row map[string]any
	line := ok(t, "", "show", in("3-translated"), "-n", "1", "--json", "--columns", "id,messages")
	if err := json.Unmarshal([]byte(line), &row); err != nil || len(row) != 2 {
		t.Errorf("%v, %v", row, err)
	}
	for _, c := range []struct {
		args  []string
		code  int
		words string
	}{
		{[]string{in("4-clean"), "--rejected=nonsense"}, exitBadInput, "no row was rejected as nonsense (in 26"},
		{[]string{in("3-translated"), "--rejected"}, exitBadInput, "no row was rejected"},
		{[]string{in("4-clean"), "--id", "nope"}, exitBadInput, "no row has the id nope"},
		{[]string{in("4-clean"), "--where", "frm=x"}, exitBadInput, "did you mean form?"},
		{[]string{in("4-clean"), "--where", "form"}, exitUsage, "COLUMN=VALUE"},
		{[]string{in("4-clean"), "--limit=-1"}, exitUsage, "negative"},
		{[]string{in("4-clean"), "--bidi", "sideways"}, exitUsage, "sideways"},
		{[]string{in("nothing")}, exitBadInput, "nothing"},
		{[]string{in("6-adapter")}, exitBadInput, "manifest.json"},
	} {
		if r := barka(t, "", append([]string{"show"}, c.args...)...); r.code != c.code || !strings.Contains(r.err, c.words) {
			t.Errorf("show %v: exit code %d, %s", c.args, r.code, r.err)
		}
	}
}

// TestDiff: the exit code is that of the rows, and the report names what moved.
func TestDiff(t *testing.T) {
	made := madeRun(t)
	clean, strict := filepath.Join(made, "4-clean"), filepath.Join(t.TempDir(), "strict")
	ok(t, "", "filter", "--in", filepath.Join(made, "3-translated"), "--out", strict, "--min-answer-words", "30", "--quiet")
	if r := barka(t, "", "diff", clean, clean); r.code != exitDone || !strings.Contains(r.out, "26 the same, 0 changed") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	r := barka(t, "", "diff", clean, strict, "--show", "1")
	for _, want := range []string{"option question.min_answer_words was 3 and is now 30", " kept → rejected: short_answer",
		"message 2: "} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the report lacks %q:\n%s", want, r.out)
		}
	}
	if r.code != exitDifferent || r.err != "" {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	r = barka(t, "", "diff", clean, strict, "--json")
	var d struct {
		Same  int
		Moved []struct{ From, To string }
	}
	line, _, _ := strings.Cut(r.out, "\n")
	if err := json.Unmarshal([]byte(line), &d); err != nil || d.Same < 5 || len(d.Moved) < 2 ||
		!strings.Contains(r.err, `"code":4,"status":"different"`) {
		t.Errorf("%v, %+v, %s", err, d, r.err)
	}
	if r := barka(t, "", "diff", clean, filepath.Join(made, "none")); r.code != exitBadInput {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}
