package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// event is a line of --json.
type event map[string]any

func (e event) number(path ...string) float64 {
	var v any = map[string]any(e)
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return -1
		}
		v = m[key]
	}
	n, ok := v.(float64)
	if !ok {
		return -1
	}
	return n
}

// events reads what a command with --json wrote to stderr.
func events(t *testing.T, stderr string) []event {
	t.Helper()
	var all []event
	for line := range strings.Lines(stderr) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e["event"] == nil {
			t.Fatalf("%q is no event: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// TestExitIsTheLastEvent: the last event of every verb, on every path, is the exit.
func TestExitIsTheLastEvent(t *testing.T) {
	dir := inputs(t)
	model, data := filepath.Join(dir, "models", "gemma2"), filepath.Join(dir, "data", "benchmarks")
	missing := filepath.Join(dir, "nothing.yaml")
	last := func(what string, ctx context.Context, code int, status string, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := run(ctx, args, strings.NewReader("x\n"), &stdout, &stderr); got != code {
			t.Errorf("%s: exit code %d, expected %d: %s", what, got, code, stderr.String())
		}
		all := events(t, stderr.String())
		if len(all) == 0 {
			t.Fatalf("%s: no events", what)
		}
		exits := 0
		for _, e := range all {
			if e["event"] == "exit" {
				exits++
			}
		}
		e := all[len(all)-1]
		if exits != 1 || e["event"] != "exit" || e.number("code") != float64(code) || e["status"] != status ||
			e.number("seconds") < 0 || (e["error"] == nil) != (code == exitDone) {
			t.Errorf("%s: %d exits, last event %v", what, exits, e)
		}
	}
	ctx := context.Background()
	for _, verb := range []string{"demo", "run", "download", "wiki", "synth", "convert", "filter", "decontaminate", "mix", "translate",
		"train", "merge", "eval", "compare", "audit", "show", "diff", "view", "report", "generate", "score", "tokenize", "bench", "doctor"} {
		last(verb+" without a needed flag", ctx, exitUsage, "usage", verb, "--json", "--no-such-flag")
		last(verb+" --help", ctx, exitDone, "done", verb, "--json", "--help")
	}
	last("no such verb", ctx, exitUsage, "usage", "--json", "nonsense")
	last("no such file", ctx, exitBadInput, "bad_input", "run", missing, "--json")
	last("bad input", ctx, exitBadInput, "bad_input", "tokenize", "--model", "/no/such/dir", "--json")
	last("usage that only the verb sees", ctx, exitUsage, "usage", "translate",
		"--json", "--model", filepath.Join(dir, "models", "nllb"), "--out", "x")
	last("success", ctx, exitDone, "done", "tokenize", "--model", model, "--json")
	unusable := program("tokenize", "--model", model, "--json")
	unusable.Env = append(unusable.Env, "BARKA_CPU=nonsense")
	text, _ := unusable.CombinedOutput()
	if all := events(t, string(text)); unusable.ProcessState.ExitCode() != exitUsage || all[len(all)-1].number("code") != exitUsage {
		t.Errorf("no such processor: %s", text)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	last("a warning by the log", ctx, exitBadInput, "bad_input", "eval", "--json", "--model", model, "--data", data,
		"--tasks", "acva:Algeria,acva:Algeria_no", "--output-dir", t.TempDir())
	last("tasks without data", ctx, exitBadInput, "bad_input", "eval", "--json", "--model", model, "--data", data,
		"--tasks", "acva", "--output-dir", t.TempDir())
	last("interrupted", cancelled, exitInterrupted, "interrupted", "eval", "--json", "--model", model, "--data", data,
		"--tasks", "acva:Algeria", "--output-dir", t.TempDir())
}

// TestRunEvents: numbers in the events of a run are JSON numbers.
func TestRunEvents(t *testing.T) {
	out := t.TempDir()
	chain := append(runChain(t, out), "--json")
	r := barka(t, "", chain...)
	if r.code != exitDone {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	stages := map[string]event{}
	steps := 0
	for _, e := range events(t, r.err) {
		switch e["event"] {
		case "stage":
			stages[e["stage"].(string)] = e
		case "step":
			steps++
			if e.number("loss") <= 0 || e.number("tokens_per_second") <= 0 || e.number("steps") != 42 {
				t.Errorf("step %v", e)
			}
		}
	}
	if steps < 20 || len(stages) != 15 {
		t.Errorf("%d steps, stages %v", steps, stages)
	}
	if e := stages["wiki"]; e.number("rows") != 26 || e.number("rejected") != 3 ||
		e.number("reasons", "redirect") != 1 || e.number("seconds") < 0 {
		t.Errorf("wiki: %v", e)
	}
	if e := stages["synth"]; e.number("tokens", "completion") <= 0 || e.number("counts", "in") != 26 {
		t.Errorf("synth: %v", e)
	}
	if e := stages["train"]; e.number("steps") != 42 || e.number("loss", "first") <= e.number("loss", "last") ||
		e.number("loss", "best_validation") <= 0 {
		t.Errorf("train: %v", e)
	}
	e := stages["eval tuned"]
	scores, ok := e["scores"].([]any)
	if !ok || len(scores) != 5 || e.number("questions") != 33 || event(scores[0].(map[string]any)).number("value") < 0 {
		t.Errorf("eval tuned: %v", e)
	}
	// The results have the same numbers, in addition to the table's three columns.
	var rows []event
	for line := range strings.Lines(r.out) {
		var row event
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) != 15 || rows[0]["made"] != "26 rows, 3 rejected" || rows[0].number("rows") != 26 || rows[0]["where"] != rows[0]["out"] {
		t.Errorf("results %v", rows)
	}
	failed := events(t, barka(t, "", "report", "--json", "--training", filepath.Join(out, "6-adapter"), "--out", out).err)
	if e := failed[len(failed)-1]; e.number("code") != exitFailed || e["status"] != "failed" || e["error"] == nil {
		t.Errorf("a directory where a file goes: %v", failed)
	}
	// A second run reports the same scores.
	again := barka(t, "", chain...)
	for _, e := range events(t, again.err) {
		if e["stage"] == "eval tuned" {
			if scores, ok := e["scores"].([]any); e["done_before"] != true || !ok || len(scores) != 5 {
				t.Errorf("second start: %v", e)
			}
		}
	}
}
