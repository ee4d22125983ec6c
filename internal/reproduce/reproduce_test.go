package reproduce

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/recipe"
)

func example() *Lock {
	return &Lock{Format: Format, Version: Version, Barka: "1", Machines: []string{"linux/amd64/avx2"},
		Recipe: Recipe{"r.yaml", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""},
		Inputs: []recipe.Input{
			{Key: "models.base", Name: "m", Files: []recipe.File{{Name: "config.json", Size: 1, SHA256: "aa"}, {Name: "w", Size: 2, SHA256: "bb"}}},
			{Key: recipe.BenchmarksKey, Name: "o/d", Commit: []string{"c1"}, Files: []recipe.File{{Name: "a/test/x", Size: 1, SHA256: "cc"}}}},
		Results: []recipe.Result{
			{Dir: "1-passages", Files: []recipe.File{{Name: "manifest.json", SHA256: "1"}},
				Measures: []recipe.Measure{{Name: "rows", Kind: recipe.Rows, Value: 100}}},
			{Dir: "6-adapter", Files: []recipe.File{{Name: "w", SHA256: "2"}},
				Measures: []recipe.Measure{{Name: "final loss", Kind: recipe.LossKind, Value: 2}}},
			{Dir: "9-eval-tuned", Files: []recipe.File{{Name: "evaluated.json", SHA256: "3"}},
				Measures: []recipe.Measure{{Name: "acva", Kind: recipe.Accuracy, Value: 0.5, Questions: 10}}}}}
}

// TestRead: locks of newer versions, damaged ones and other files are refused with what to do.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock.json")
	if err := example().Write(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Read(path)
	if err != nil || l.Revisions()["o/d"][0] != "c1" {
		t.Fatal(l, err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"version": 1`, `"version": 2`, "has version 2, and this barka reads versions up to 1; use a newer barka"},
		{`"version": 1`, `"version": 0`, "expected 1 to 1"},
		{`"barka-lock"`, `"other"`, "is not a lock file"},
		{`"text": ""`, `"text": "name: x"`, "is damaged"},
		{`"results": [`, `"outputs": [`, "lists no results"},
		{`{`, `[`, "lock.json"},
	} {
		if err := os.WriteFile(path, []byte(strings.Replace(string(good), c.from, c.to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !badinput.Is(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.to, err, c.want)
		}
	}
}

// TestCheckInputs: changed, missing and new files are named with both digests.
func TestCheckInputs(t *testing.T) {
	l := example()
	if err := l.CheckInputs(example().Inputs); err != nil {
		t.Fatal(err)
	}
	now := example().Inputs
	now[0].Files[1].SHA256 = "dd"
	now[0].Files[0].Name = "other.json"
	now[1].Commit, now[1].Files[0].SHA256 = []string{"c2"}, "ee"
	now = append(now, recipe.Input{Key: "synth.prompts", Name: "p"})
	err := l.CheckInputs(now)
	if err == nil || !badinput.Is(err) {
		t.Fatal(err)
	}
	for _, want := range []string{"models.base: m, w has the SHA-256 dd, and the lock bb", "config.json is missing; its SHA-256 was aa",
		"other.json is new, with the SHA-256 aa", "benchmarks: o/d (commit c1, now c2), a/test/x has the SHA-256 ee, and the lock cc",
		"synth.prompts: p was not there"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if err := l.CheckInputs(now[1:]); !strings.Contains(err.Error(), "models.base: m is not there") {
		t.Error(err)
	}
}

// TestCompare: with the same kernels every byte counts, with others the tolerances.
func TestCompare(t *testing.T) {
	l, same, other := example(), &recipe.Ran{Barka: "1", Machines: []string{"linux/amd64/avx2"}}, &recipe.Ran{Barka: "1",
		Machines: []string{"linux/amd64/generic"}}
	change := func(loss, accuracy, rows float64) []recipe.Result {
		now := example().Results
		for i, v := range []float64{rows, loss, accuracy} {
			now[i].Measures[0].Value = v
			now[i].Files[0].SHA256 += "x"
		}
		return now
	}
	for name, c := range map[string]struct {
		ran        *recipe.Ran
		now        []recipe.Result
		reproduced bool
		different  int
	}{
		"equal":                     {same, example().Results, true, 0},
		"equal elsewhere":           {other, example().Results, true, 0},
		"other bytes, same kernels": {same, change(2, 0.5, 100), false, 3},
		"other bytes elsewhere":     {other, change(2, 0.5, 100), true, 0},
		"near":                      {other, change(2.03, 0.6, 96), true, 0},
		"loss":                      {other, change(2.05, 0.5, 100), false, 2},
		"two questions":             {other, change(2, 0.7, 100), false, 2},
		"rows":                      {other, change(2, 0.5, 94), false, 2},
		"NaN":                       {other, change(math.NaN(), 0.5, 100), false, 2},
		"an output is missing":      {other, example().Results[:2], false, 0},
		"an output is new":          {other, append(example().Results, recipe.Result{Dir: "7-merged"}), false, 0},
	} {
		got := l.Compare(c.ran, c.now, DefaultTolerances())
		if got.Reproduced() != c.reproduced || got.Count(Different) != c.different || got.SameKernels != (c.ran == same) {
			t.Errorf("%s: reproduced %t, %d different: %+v", name, got.Reproduced(), got.Count(Different), got.Rows)
		}
	}
	tiny := func(v float64) recipe.Measure { return recipe.Measure{Kind: recipe.LossKind, Value: v} }
	for now, want := range map[float64]Status{0.019: Equal, 0.0209: Near, 0.0211: Different} {
		if got := DefaultTolerances().compare(tiny(0.019), tiny(now)); got != want {
			t.Errorf("losses 0.019 and %g: %s, expected %s", now, got, want)
		}
	}
	l.Machines = append(l.Machines, "linux/amd64/generic")
	if l.Compare(same, example().Results, DefaultTolerances()).SameKernels {
		t.Error("a run of two machines was made with the same kernels as one of them")
	}
}
