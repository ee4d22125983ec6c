package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/version"
)

// panicking is a standard input whose reads panic.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("no reader of hf_verysecret") }

// TestPanicIsADefect: a panic is not a usage error. Its report has the version,
// the verb and the stack, and no secret.
func TestPanicIsADefect(t *testing.T) {
	t.Setenv("HF_TOKEN", "hf_verysecret")
	model := filepath.Join(inputs(t), "models", "gemma2")
	for _, verb := range []string{"tokenize", "score"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{verb, "--model", model}, panicking{}, &stdout, &stderr)
		for _, want := range []string{"no reader of $HF_TOKEN", "defect of barka", "report",
			"barka " + version.Barka + " " + verb, "panicking.Read", "defect_test.go"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q is not in the report", verb, want)
			}
		}
		if code != exitFailed || strings.Contains(stderr.String(), "verysecret") {
			t.Errorf("%s: exit code %d\n%s", verb, code, stderr.String())
		}
	}

	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"tokenize", "--json", "--model", model}, panicking{}, &stdout, &stderr)
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	var exit struct {
		Event, Status, Error string
		Code                 int
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &exit); err != nil || code != exitFailed ||
		exit.Event != "exit" || exit.Code != exitFailed || exit.Status != "failed" || exit.Error != "no reader of $HF_TOKEN" {
		t.Errorf("exit code %d, %v: %s", code, err, stderr.String())
	}
}
