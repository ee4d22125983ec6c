package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/compare"
)

// TestCompare: two evaluations of testdata/chain's model, one of them with another token
// boundary and the chat template, in every output format.
func TestCompare(t *testing.T) {
	model, dir := filepath.Join(inputs(t), "models", "gemma2"), t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	eval := []string{"eval", "--model", model, "--tasks", "acva:Yemen,acva:Iraq,copa_ext_ar,toxigen_ar",
		"--data", "../../internal/eval/testdata/hub"}
	ok(t, "", append(eval, "--output-dir", a)...)
	ok(t, "", append(eval, "--output-dir", b, "--border", "pairwise", "--use-chat-template")...)

	html, flips := filepath.Join(dir, "c.html"), filepath.Join(dir, "flips.jsonl.gz")
	text := ok(t, "", "compare", a, b, "--html", html, "--flips", flips, "--show", "2", "--published")
	for _, want := range []string{"| COPA | 3 |", "| All questions |", "published",
		"questions differ: chat template", "--token-boundary is as usual in A, pairwise in B", "10000 paired resamples (seed 42)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	var record compare.Record
	if err := json.Unmarshal([]byte(ok(t, "", "compare", a, b, "--json", "-q", "--show", "100")), &record); err != nil {
		t.Fatal(err)
	}
	n := record.AllQuestions.OnlyA + record.AllQuestions.OnlyB
	if len(record.Tasks) != 4 || len(record.Rows) != 2 || record.Average != nil || n == 0 || len(record.Flips) != n {
		t.Errorf("%d flips; %+v", n, record)
	}
	page, err := os.ReadFile(html)
	if err != nil || !strings.Contains(string(page), `dir="auto"`) || strings.Count(string(page), "log-probability, A") != n {
		t.Errorf("page: %v, %d flips of %d", err, strings.Count(string(page), "log-probability, A"), n)
	}
	if again := ok(t, "", "compare", a, b, "--show", "2", "--published"); again != text {
		t.Error("the same comparison is not the same text")
	}
	if other := ok(t, "", "compare", a, b, "--show", "2", "--published", "--seed", "43"); other == text ||
		!strings.Contains(other, "seed 43") {
		t.Error("another seed changes nothing")
	}

	ok(t, "", "compare", a, b, "--flips", strings.TrimSuffix(flips, ".gz"))
	file, err := os.Open(strings.TrimSuffix(flips, ".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := 0
	for s := bufio.NewScanner(file); s.Scan(); lines++ {
		var f compare.Flip
		if err := json.Unmarshal(s.Bytes(), &f); err != nil || f.Prompt == "" || f.PromptB == "" || f.A == f.B ||
			f.Gold != f.A && f.Gold != f.B {
			t.Errorf("%v: %s", err, s.Bytes())
		}
	}
	if lines != n {
		t.Errorf("%d lines, %d flips", lines, n)
	}
}

// TestCompareRefuses: inputs that cannot be compared are refused, and no partial file is
// left.
func TestCompareRefuses(t *testing.T) {
	model, dir := filepath.Join(inputs(t), "models", "gemma2"), t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	eval := []string{"eval", "--model", model, "--tasks", "copa_ext_ar", "--data", "../../internal/eval/testdata/hub"}
	ok(t, "", append(eval, "--output-dir", a)...)
	ok(t, "", append(eval, "--output-dir", b, "--max-samples", "2")...)
	flips := filepath.Join(dir, "flips.jsonl")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{a}, exitUsage, "<b>"},
		{[]string{a, filepath.Join(dir, "none")}, exitBadInput, "no such file"},
		{[]string{a, model}, exitBadInput, "has no evaluation"},
		{[]string{a, b, "--flips", flips}, exitBadInput, "3 questions in A, 2 in B"},
		{[]string{a, b, "--resamples", "0"}, exitUsage, "--resamples"},
		{[]string{a, b, "--common", "--flips", filepath.Join(dir, "none", "f")}, exitFailed, "flips"},
	} {
		r := barka(t, "", append([]string{"compare"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: exit code %d, %q; expected %d and %q", c.args, r.code, r.err, c.code, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*flips*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if text := ok(t, "", "compare", a, b, "--common"); !strings.Contains(text, "1 questions of A, 0 of B") {
		t.Error(text)
	}
}
