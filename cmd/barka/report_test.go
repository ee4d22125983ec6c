package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/htmlpage/chromium"
	"barka/internal/recipe"
)

// TestReport: the page about a run is made again from its directory, with an audit beside the
// outputs; in a browser it loads and runs nothing, and fits a phone.
func TestReport(t *testing.T) {
	made := madeRun(t)
	benchmarks := filepath.Join(made, "inputs", "data")
	ok(t, "", "audit", "--data", filepath.Join(benchmarks, "benchmarks"), "--tasks", filepath.Join(benchmarks, "tasks.txt"),
		"--train", filepath.Join(made, "5-mix"), "--out", filepath.Join(made, "audit"))
	out := ok(t, "", "report", made)
	page, err := os.ReadFile(filepath.Join(made, "report.html"))
	if err != nil || !strings.Contains(out, "report.html") {
		t.Fatalf("%v, %s", err, out)
	}
	for _, want := range []string{`<svg class="flow"`, "skipped heading", "<bdi>demo-single</bdi>", "Training sets", "validation loss, best",
		"McNemar's test", "name: demo", `<td><bdi>translate</bdi></td><td class="n">`, "CC0 1.0"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	chromium.CheckPage(t, string(page))
	for name, args := range map[string][]string{
		"no run":     {made + "-none"},
		"no outputs": {t.TempDir()},
		"no audit":   {made, "--audit", filepath.Join(made, "5-mix")},
	} {
		if r := barka(t, "", append([]string{"report"}, args...)...); r.code != exitBadInput {
			t.Errorf("%s: %d, %s", name, r.code, r.err)
		}
	}
	if r := barka(t, "", "report"); r.code != exitUsage || !strings.Contains(r.err, "directory of a run") {
		t.Errorf("without anything: %d, %s", r.code, r.err)
	}
}

// TestTimes: a second run adds to the times of the first, and a damaged file is written again.
func TestTimes(t *testing.T) {
	made := madeRun(t)
	path := filepath.Join(made, recipe.TimesFile)
	read := func() map[string]float64 {
		var times struct {
			Stages []struct {
				Stage   string
				Seconds float64
			}
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &times)
		}
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]float64{}
		for _, s := range times.Stages {
			all[s.Stage] = s.Seconds
		}
		return all
	}
	first := read()
	if len(first) < 10 || first["translate"] <= 0 {
		t.Errorf("times %v", first)
	}
	ok(t, "", "run", filepath.Join(made, "inputs", "recipe.yaml"), "--out", made, "--memory", "off", "--quiet")
	if second := read(); second["translate"] <= first["translate"] || len(second) != len(first) {
		t.Errorf("times %v, then %v", first, second)
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "run", filepath.Join(made, "inputs", "recipe.yaml"), "--out", made, "--memory", "off", "--quiet")
	if third := read(); len(third) != len(first) {
		t.Errorf("times %v", third)
	}
}
