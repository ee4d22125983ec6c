package audit

import (
	"strings"
	"testing"
)

// TestLeftOut: tasks without data are named by repository, at most three of
// them, and others with their reasons.
func TestLeftOut(t *testing.T) {
	r := &Report{Skipped: []Skip{{Task: "community|a:1", Get: "get A"}, {Task: "community|b", Reason: "no rows"},
		{Task: "community|c", Get: "get C"}}}
	for _, name := range []string{"2", "3", "4", "5"} {
		r.Skipped = append(r.Skipped, Skip{Task: "community|a:" + name, Get: "get A"})
	}
	got := strings.Join(r.LeftOut("data"), "\n")
	want := "community|b is left out: no rows\n" +
		"left out, because their data is not in data: a:1, a:2, a:3, … (5 in all)\n  get it: get A\n" +
		"left out, because their data is not in data: c\n  get it: get C"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestNextStep: the text names the findings, their file, and the command that drops rows.
func TestNextStep(t *testing.T) {
	clean := &Report{Findings: make([]Finding, 1)}
	drop := &Report{Findings: make([]Finding, 2), Overlap: &Overlap{Datasets: []Dataset{{Drop: 2}, {Drop: 1}}}}
	for _, c := range []struct {
		r         *Report
		out, want string
	}{
		{clean, "", "1 finding; --out DIR writes them row by row"},
		{clean, "o", "1 finding, row by row: o/findings.jsonl"},
		{drop, "", "2 findings and 3 training rows to drop; --out DIR writes them row by row, for barka mix --drop"},
		{drop, "o", "2 findings, row by row: o/findings.jsonl; 3 training rows to drop: barka mix … --drop o/drop.jsonl"},
	} {
		if got := c.r.NextStep(c.out); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
