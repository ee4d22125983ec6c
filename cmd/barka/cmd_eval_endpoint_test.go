package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestEvalEndpoint runs the whole command with a server for which every token after the
// first is equally likely. Scores are stored; the key is sent and never shown. Package
// backend tests that the scores equal the engine's.
func TestEvalEndpoint(t *testing.T) {
	dir, root := inputs(t), t.TempDir()
	model := filepath.Join(dir, "models", "gemma2")
	var asked, refuse atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b struct{ Prompt []int32 }
		if r.URL.Path != "/v1/completions" || json.NewDecoder(r.Body).Decode(&b) != nil {
			w.WriteHeader(404)
			return
		}
		asked.Add(1)
		if refuse.Load() > 0 && refuse.Add(1) == 4 {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"code":"content_filter","message":"flagged"}}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer secret-key" {
			t.Error("no key was sent")
		}
		entries := []any{nil}
		for _, token := range b.Prompt[1:] {
			entries = append(entries, map[string]any{fmt.Sprint(token): map[string]any{"logprob": -2, "rank": 1}})
		}
		json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"prompt_logprobs": entries}}})
	}))
	defer s.Close()
	t.Setenv("TEST_BARKA_EVAL_KEY", "secret-key")
	line := func(more ...string) []string {
		return append([]string{"eval", "--endpoint", s.URL + "/v1", "--model", "served/gemma", "--tasks", filepath.Join(dir, "data", "tasks.txt"),
			"--data", filepath.Join(dir, "data", "benchmarks"), "--output-dir", root}, more...)
	}
	whole := []string{"--tokenizer", model, "--key-variable", "TEST_BARKA_EVAL_KEY"}
	if text := ok(t, "", line(append(whole, "--dry-run")...)...); asked.Load() != 0 || !strings.Contains(text, "unknown") {
		t.Errorf("a dry run asked %d times: %s", asked.Load(), text)
	}
	r := barka(t, "", line(whole...)...)
	if r.code != exitDone || !strings.Contains(r.out, "served/gemma") || strings.Contains(r.out+r.err, "secret-key") {
		t.Errorf("exit code %d, %s %s", r.code, r.out, r.err)
	}
	first := asked.Load()
	if r := barka(t, "", line(whole...)...); r.code != exitDone || asked.Load() != first || first == 0 {
		t.Errorf("a second run asked %d times after %d: %s", asked.Load()-first, first, r.err)
	}
	// A refused request leaves out its task; the other tasks are scored.
	refuse.Store(1)
	other := t.TempDir()
	refused := append(line(whole...), "--output-dir", other)
	r = barka(t, "", refused...)
	if r.code == exitDone || !strings.Contains(r.err, "content_filter") || !strings.Contains(r.out, "served/gemma") {
		t.Errorf("a refused request: exit code %d, %s %s", r.code, r.out, r.err)
	}
	kept := asked.Load() - first
	refuse.Store(0)
	if r := barka(t, "", refused...); r.code != exitDone || asked.Load()-first-kept > first-kept+1 {
		t.Errorf("after it: exit code %d, %d requests after %d, of %d: %s", r.code, asked.Load()-first-kept, kept, first, r.err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{line(), exitBadInput, "--tokenizer"},
		{line("--tokenizer", model, "--adapter", "x"), exitUsage, "--adapter"},
		{line("--tokenizer", model, "--key-variable", "TEST_BARKA_NO_KEY"), exitBadInput, "TEST_BARKA_NO_KEY"},
		{line("--tokenizer", "/no/such"), exitBadInput, "/no/such"},
		{line("--tokenizer", model, "--concurrency", "0"), exitUsage, "--concurrency"},
		{evalLine(dir, root, "--tokenizer", model), exitUsage, "only for --endpoint"},
	} {
		if r := barka(t, "", c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("barka %s: exit code %d, %q; expected %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
	}
}
