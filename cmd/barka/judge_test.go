package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestEvalWithJudge: version 2 of the leaderboard with a judge behind an endpoint. Paid
// answers are kept; the key appears nowhere.
func TestEvalWithJudge(t *testing.T) {
	const key = "sk-very-secret"
	t.Setenv("TEST_JUDGE_KEY", key)
	var asked, unauthorised atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+key {
			unauthorised.Add(1)
		}
		json.NewEncoder(w).Encode(map[string]any{"model": "j",
			"choices": []any{map[string]any{"message": map[string]any{"content": "7"}, "finish_reason": "stop"}}})
	}))
	defer server.Close()
	model, evals := filepath.Join(inputs(t), "models", "gemma2"), t.TempDir()
	args := []string{"eval", "--model", model, "--tasks", "alrage_qa,aratrust:Ethics",
		"--data", "../../internal/eval/testdata/hub", "--output-dir", evals, "--max-samples", "3"}
	skipped := barka(t, "", args...)
	if skipped.code != exitDone || !strings.Contains(skipped.err, "community|alrage_qa is skipped") ||
		!strings.Contains(skipped.err, "--judge-url") ||
		!strings.Contains(skipped.err, "--use-chat-template") || !strings.Contains(skipped.out, "community:aratrust:Ethics:0") {
		t.Errorf("no judge: %+v", skipped)
	}
	args = append(args, "--judge-url", server.URL, "--judge-model", "j", "--judge-key-variable", "TEST_JUDGE_KEY", "--use-chat-template")
	r := barka(t, "", args...)
	if r.code != exitDone || !strings.Contains(r.out, "llm_as_judge") || !strings.Contains(r.out, "0.7000") {
		t.Errorf("with a judge: %+v", r)
	}
	if asked.Load() != 3 || unauthorised.Load() != 0 {
		t.Errorf("%d requests to the judge, %d without the key", asked.Load(), unauthorised.Load())
	}
	again := barka(t, "", args...)
	if again.code != exitDone || asked.Load() != 3 || !strings.Contains(again.err, "0 requests scored") {
		t.Errorf("again: %+v; %d requests to the judge in all", again, asked.Load())
	}
	if text := r.out + r.err + again.out + again.err; strings.Contains(text, key) {
		t.Error("the key was shown")
	}
	err := filepath.WalkDir(evals, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), key) {
			t.Errorf("the key is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "--judge-model", []string{"--judge-url", server.URL}},
		{exitBadInput, "NOT_SET", []string{"--judge-url", server.URL, "--judge-model", "j", "--judge-key-variable", "NOT_SET"}},
		{exitBadInput, "letters", []string{"--alghafa", "letters"}},
		{exitBadInput, "run them separately", []string{"--tasks", "oall,oall-v2"}},
		{exitBadInput, "barka download --dataset MBZUAI/MadinahQA", []string{"--tasks", "madinah_qa", "--data", t.TempDir()}},
	} {
		r := barka(t, "", append([]string{"eval", "--model", model, "--tasks", "aratrust:Ethics",
			"--data", "../../internal/eval/testdata/hub", "--output-dir", evals}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%v: exit code %d, %s; want %d and %q", c.args, r.code, r.err, c.code, c.want)
		}
	}
}
