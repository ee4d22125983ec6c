package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLockAndReproduce locks a run of testdata/chain and repeats it: on the same kernels to the byte,
// on plain Go within the tolerances. A changed input is named, and nothing runs.
func TestLockAndReproduce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("starts this program again")
	}
	root := t.TempDir()
	out, lock := filepath.Join(root, "demo"), filepath.Join(root, "demo.lock.json")
	ok(t, "", append(runChain(t, out), "--quiet")...)
	if r := barka(t, "", "lock", filepath.Join(root, "nothing")); r.code != exitBadInput ||
		!strings.Contains(r.err, "nothing: there is no") {
		t.Errorf("no run: exit code %d, %s", r.code, r.err)
	}
	ok(t, "", "lock", out)
	first, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"barka-lock"`, `"models.base"`, `"synth.prompts"`, `"eval.data"`, `"final loss"`, "6-adapter"} {
		if !strings.Contains(string(first), want) {
			t.Errorf("the lock has no %s", want)
		}
	}
	r := barka(t, "", "reproduce", lock, "--out", filepath.Join(root, "same"))
	if r.code != exitDone || strings.Contains(r.out, "\tdifferent") || strings.Contains(r.out, "\tnear") ||
		strings.Count(r.out, "\tequal\n") < 14 {
		t.Errorf("the same machine: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	// A second lock of the repetition says the same, but for where the recipe was.
	ok(t, "", "lock", filepath.Join(root, "same"), "--out", filepath.Join(root, "again.json"))
	again, err := os.ReadFile(filepath.Join(root, "again.json"))
	if err != nil || string(again) != string(first) {
		t.Errorf("the lock of the repetition is another: %v", err)
	}

	c := program("reproduce", lock, "--out", filepath.Join(root, "generic"))
	c.Env = append(c.Env, "BARKA_CPU=generic")
	text, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "differences within the tolerances are allowed") {
		t.Errorf("plain Go: %v\n%s", err, text)
	}
	t.Logf("plain Go:\n%s", text)

	path := filepath.Join(out, "inputs", "models", "gemma2", "config.json")
	config, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(config, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	r = barka(t, "", "reproduce", lock, "--out", filepath.Join(root, "changed"))
	if r.code != exitBadInput || !strings.Contains(r.err, "models.base: models/gemma2, config.json has the SHA-256 ") {
		t.Errorf("a changed input: exit code %d, %s", r.code, r.err)
	}
	if _, err := os.Stat(filepath.Join(root, "changed")); err == nil {
		t.Error("the run began")
	}
	if r = barka(t, "", "reproduce", lock, "--loss-tolerance", "-1"); r.code != exitUsage {
		t.Errorf("a negative tolerance: exit code %d", r.code)
	}
	// A stage that cannot be looked at is no unfinished one.
	tuned := filepath.Join(out, "9-eval-tuned")
	if err := os.Rename(tuned, tuned+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("9-eval-tuned", tuned); err != nil {
		t.Fatal(err)
	}
	if r = barka(t, "", "lock", out); r.code == exitDone || strings.Contains(r.err, "is not finished") || !strings.Contains(r.err, tuned) {
		t.Errorf("a link to itself: exit code %d, %s", r.code, r.err)
	}
	if err := os.RemoveAll(tuned + ".away"); err != nil {
		t.Fatal(err)
	}
	// Unfinished runs are not locked.
	if err := os.RemoveAll(filepath.Join(out, "9-eval-tuned")); err != nil {
		t.Fatal(err)
	}
	if r = barka(t, "", "lock", out); r.code != exitBadInput || !strings.Contains(r.err, "is not finished") {
		t.Errorf("unfinished: exit code %d, %s", r.code, r.err)
	}
}
