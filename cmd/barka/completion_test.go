package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletion: the scripts complete verbs and flags, in the shells that are here.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text := ok(t, "", "completion", shell)
		for _, want := range []string{"translate", "max-samples", "offline", "merge"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s", shell, want)
			}
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("there is no %s; its script is not run", shell)
			continue
		}
		path := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
		if shell != "bash" {
			continue
		}
		for line, want := range map[string]string{"barka tr": "translate train", "barka eval m": "merge", "barka eval --ta": "--tasks",
			"barka eval merge --output-d": "--output-dir", "barka run --dr": "--dry-run", "barka models r": "rm"} {
			words := strings.Fields(line)
			script := fmt.Sprintf(`source %s; COMP_WORDS=(%s); COMP_CWORD=%d; _barka; echo "${COMPREPLY[@]}"`, path, line, len(words)-1)
			out, err := exec.Command("bash", "-c", script).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q, %v; want %q", line, got, err, want)
			}
		}
	}
	if r := barka(t, "", "completion", "csh"); r.code != exitUsage {
		t.Errorf("csh: exit code %d", r.code)
	}
}
