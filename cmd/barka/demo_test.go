package main

import (
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/compare"
	"barka/internal/dataset"
	"barka/internal/recipe"
)

// TestDemoLearns runs the demonstration. The student is no better than chance before and
// significantly better after, the generator's rows pass the checks, and the last lines name what
// the models cannot do and the command for real ones.
func TestDemoLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the demonstration")
	}
	out := filepath.Join(t.TempDir(), "demo")
	r := barka(t, "", "demo", "--out", out)
	if r.code != exitDone {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	for _, want := range []string{"SCIQ", "p McNemar"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the output has no %q:\n%s", want, r.out)
		}
	}
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	last := strings.Join(lines[max(len(lines)-2, 0):], "\n")
	if !strings.Contains(last, "nothing else") || !strings.HasSuffix(last, "barka init recipe.yaml && barka run recipe.yaml") {
		t.Errorf("the last lines are %q", last)
	}
	base, err := compare.Open(filepath.Join(out, recipe.BaseEvalDir))
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := compare.Open(filepath.Join(out, recipe.TunedEvalDir))
	if err != nil {
		t.Fatal(err)
	}
	c, err := compare.Compare(base, tuned, compare.Options{Resamples: 1000, Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	if all := c.All; all.Questions < 150 || all.A > 0.4 || all.B < all.A+0.2 || all.McNemar > 0.001 {
		t.Errorf("%+v", all)
	}
	for dir, least := range map[string]int64{"2-instructions": 100, "3-translated": 100, "5-mix": 800} {
		m, err := dataset.ReadManifest(filepath.Join(out, dir))
		if err != nil || m.Rows < least {
			t.Errorf("%s: %+v, %v", dir, m, err)
		}
	}
}
