package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"barka/internal/hub/hubtest"
	"barka/internal/parquet"
)

// testHub starts a hub and points the environment to it, with an empty cache.
func testHub(t *testing.T) *hubtest.Server {
	t.Helper()
	s := hubtest.New()
	t.Cleanup(s.Close)
	home := t.TempDir()
	for name, value := range map[string]string{"HF_ENDPOINT": s.URL(), "HF_HOME": home,
		"HF_HUB_CACHE": filepath.Join(home, "hub"), "HF_HUB_OFFLINE": "", "HF_TOKEN": "", "HF_TOKEN_PATH": "", "BARKA_BENCHMARKS": ""} {
		t.Setenv(name, value)
	}
	return s
}

// addRepo adds a repository with a directory's files to the hub.
func addRepo(t *testing.T, s *hubtest.Server, kind, id, dir string) {
	t.Helper()
	files, err := hubtest.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	s.Add(kind, id, "main", files)
}

// results reads the scores of an evaluation.
func results(t *testing.T, r result) map[string]any {
	t.Helper()
	var written struct{ Results string }
	if err := json.Unmarshal([]byte(r.out), &written); err != nil {
		t.Fatalf("%v in %s\n%s", err, r.out, r.err)
	}
	text, err := os.ReadFile(written.Results)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Results map[string]any }
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v.Results
}

type story struct {
	ID    string `parquet:"story_id"`
	S1    string `parquet:"input_sentence_1"`
	S2    string `parquet:"input_sentence_2"`
	S3    string `parquet:"input_sentence_3"`
	S4    string `parquet:"input_sentence_4"`
	Q1    string `parquet:"sentence_quiz1"`
	Q2    string `parquet:"sentence_quiz2"`
	Right int64  `parquet:"answer_right_ending"`
}

// TestEvalFromHub evaluates a model and an adapter with benchmarks, all from a hub, and
// compares with the same files in directories. Benchmarks that the hub lacks are listed,
// and the other tasks run.
func TestEvalFromHub(t *testing.T) {
	s := testHub(t)
	dir := inputs(t)
	benchmarks := filepath.Join(dir, "data", "benchmarks")
	stories := filepath.Join(benchmarks, "juletxara", "xstory_cloze", "ar", "eval", "0000.parquet")
	if err := os.MkdirAll(filepath.Dir(stories), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(stories, []story{{"1", "أ", "ب", "ج", "د", "هـ", "و", 1}, {"2", "ز", "ح", "ط", "ي",
		"ك", "ل", 2}}); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{"OALL/ACVA", "OALL/Arabic_EXAMS", "OALL/Arabic_MMLU", "OALL/AlGhafa-Arabic-LLM-Benchmark-Translated"} {
		addRepo(t, s, "datasets", repo, filepath.Join(benchmarks, filepath.FromSlash(repo)))
	}
	s.Add("datasets", "juletxara/xstory_cloze", "main",
		map[string][]byte{"xstory_cloze.py": []byte("import datasets"), "README.md": []byte("# stories")})
	converted, err := hubtest.ReadDir(filepath.Join(benchmarks, "juletxara", "xstory_cloze"))
	if err != nil {
		t.Fatal(err)
	}
	s.Add("datasets", "juletxara/xstory_cloze", "refs/convert/parquet", converted)
	model := filepath.Join(dir, "models", "gemma2")
	addRepo(t, s, "models", "org/model", model)

	const list = "acva:Algeria,arabic_exams,arabic_mmlu:astronomy,copa_ext_ar,xstory_cloze:ar"
	line := func(args ...string) result {
		return barka(t, "", append([]string{"eval", "--json", "--output-dir", t.TempDir()}, args...)...)
	}
	local := line("--model", model, "--tasks", list, "--data", benchmarks)
	if local.code != exitDone {
		t.Fatalf("from directories: exit code %d, %s", local.code, local.err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Fatalf("directories led to %d requests", n)
	}

	// First a dry run.
	r := line("--model", "org/model", "--tasks", list, "--dry-run")
	if r.code != exitDone || !strings.Contains(r.out, "benchmarks: ") ||
		!strings.Contains(r.out, "from 5 datasets") || !strings.Contains(r.out, "org/model at commit") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	for _, q := range s.Requests() {
		if q.Store || strings.Contains(q.Path, "/resolve/") && !strings.HasSuffix(q.Path, "/README.md") {
			t.Errorf("a dry run fetched %s", q.Path)
		}
	}

	r = line("--model", "org/model", "--tasks", list+",race_ar,alghafa:meta_ar_msa")
	if r.code != exitBadInput {
		t.Fatalf("exit code %d, %s", r.code, r.err)
	}
	for _, want := range []string{"2 of 7 tasks could not be run", "missing: race_ar",
		"why: the hub's repository has no file for subset race_ar, split test", "there is no dataset " +
			"OALL/AlGhafa-Arabic-LLM-Benchmark-Native",
		"get it: barka download --dataset OALL/AlGhafa-Arabic-LLM-Benchmark-Native"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("the error lacks %q:\n%s", want, r.err)
		}
	}
	if diff := cmp.Diff(results(t, local), results(t, r)); diff != "" {
		t.Errorf("from directories (-) and from the hub (+):\n%s", diff)
	}

	// Then again without a hub: everything is in the cache.
	s.Requests()
	r = line("--model", "org/model", "--tasks", list)
	if r.code != exitDone || len(s.Requests()) != 0 {
		t.Errorf("the second time: exit code %d, %s", r.code, r.err)
	}
	s.Close()
	r = line("--model", "org/model", "--tasks", list+",race_ar", "--offline")
	if r.code != exitBadInput || !strings.Contains(r.err, "1 of 6 tasks could not be run") ||
		!strings.Contains(r.err, "offline") || !strings.Contains(r.err, "barka download --dataset") {
		t.Errorf("offline: exit code %d, %s", r.code, r.err)
	}
	if diff := cmp.Diff(results(t, local), results(t, r)); diff != "" {
		t.Error(diff)
	}
}

// TestAdapterFromHub scores with a model and an adapter by their hub ids.
func TestAdapterFromHub(t *testing.T) {
	s := testHub(t)
	model, root := filepath.Join(inputs(t), "models", "gemma2"), t.TempDir()
	data, adapter, merged := filepath.Join(root, "data.jsonl"), filepath.Join(root, "adapter"), filepath.Join(root, "merged")
	if err := os.WriteFile(data, []byte(`{"messages":[{"role":"user","content":"Is it sweet?"},{"role":"assistant","content":"نعم"}]}`),
		0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "train", "--model", model, "--data", data, "--out", adapter, "--rank", "2", "--lr", "0.01",
		"--epochs", "2", "--batch", "1", "--warmup-ratio", "0")
	addRepo(t, s, "models", "org/model", model)
	addRepo(t, s, "models", "org/adapter", adapter)
	request := `{"context":"Is it sweet?","continuations":["نعم","لا"]}` + "\n"
	want := ok(t, request, "score", "--model", model, "--adapter", adapter)
	if got := ok(t, request, "score", "--model", "org/model", "--adapter", "org/adapter"); got != want ||
		got == ok(t, request, "score", "--model", model) {
		t.Errorf("by hub ids %s, from directories %s", got, want)
	}
	ok(t, "", "merge", "--model", "org/model", "--adapter", "org/adapter", "--out", merged)
	fetched, _ := filepath.Glob(filepath.Join(os.Getenv("HF_HUB_CACHE"), "models--org--adapter", "snapshots", "*", "*"))
	if len(fetched) != 2 {
		t.Errorf("fetched of the adapter: %v", fetched)
	}
}

func TestDownloadVerb(t *testing.T) {
	s := testHub(t)
	dir := inputs(t)
	addRepo(t, s, "models", "org/model", filepath.Join(dir, "models", "gemma2"))
	addRepo(t, s, "datasets", "OALL/ACVA", filepath.Join(dir, "data", "benchmarks", "OALL", "ACVA"))

	r := barka(t, "", "download", "org/model", "--dry-run")
	if r.code != exitDone || !strings.Contains(r.out, "model.safetensors\t") || !strings.Contains(r.out, "5 files") {
		t.Errorf("dry run: exit code %d, %s%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(os.Getenv("HF_HUB_CACHE")); err == nil {
		t.Error("a dry run made the cache")
	}
	path := strings.TrimSpace(ok(t, "", "download", "org/model", "--include", "*.json"))
	if _, err := os.Stat(filepath.Join(path, "model.safetensors")); err == nil {
		t.Error("--include *.json brought the weights")
	}
	ids := ok(t, "مرحبا\n", "tokenize", "--model", "org/model")
	if ids != ok(t, "مرحبا\n", "tokenize", "--model", filepath.Join(dir, "models", "gemma2")) {
		t.Errorf("ids %q", ids)
	}
	// A verb that opens the model downloads the weights too.
	said := ok(t, "", "generate", "--model", "org/model", "--prompt", "x", "--max-tokens", "3", "--raw")
	if said != ok(t, "", "generate", "--model", path, "--prompt", "x", "--max-tokens", "3", "--raw") {
		t.Errorf("generated %q", said)
	}
	var v struct {
		Path    string
		ToFetch int64 `json:"to_fetch"`
	}
	if err := json.Unmarshal([]byte(ok(t, "", "download", "org/model@main", "--json")), &v); err != nil ||
		v.Path != path || v.ToFetch != 0 {
		t.Errorf("%+v, %v", v, err)
	}

	// A dataset into a directory for --data.
	data, out := filepath.Join(t.TempDir(), "benchmarks"), t.TempDir()
	ok(t, "", "download", "--dataset", "OALL/ACVA", "--cache-dir", data)
	ok(t, "", "eval", "--model", "org/model", "--tasks", "acva:Algeria", "--data", data, "--output-dir", out, "--offline")

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"org/none"}, exitBadInput, "there is no model org/none"},
		{[]string{"org/model", "--offline"}, exitBadInput, "offline"},
		{[]string{"org/model", "--revision", "v9"}, exitBadInput, "has no revision v9"},
		{[]string{"org/model@a", "--revision", "b"}, exitBadInput, "name two revisions"},
		{[]string{"model"}, exitBadInput, "organisation/name"},
		{[]string{"org/model", "--include", "*.gguf"}, exitBadInput, "has no file that matches *.gguf"},
		{[]string{}, exitUsage, "id"},
	} {
		if r := barka(t, "", append([]string{"download"}, c.args...)...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("download %v: exit code %d, %s; want %d, %q", c.args, r.code, r.err, c.code, c.want)
		}
	}
}

// TestDownloadSurvivesKills kills and interrupts a slow download, and counts the bytes that
// the store sent: bytes that had arrived are not sent again.
func TestDownloadSurvivesKills(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	s := testHub(t)
	weights := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{1}).Read(weights)
	s.Add("models", "org/model", "main", map[string][]byte{"config.json": []byte("{}"),
		"tokenizer.json": []byte("{}"), "model.safetensors": weights})
	var sent atomic.Int64
	s.SetFault(func(w http.ResponseWriter, r *http.Request, store bool) bool {
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		if !store || r.URL.Path != fmt.Sprintf("/%x", sha256.Sum256(weights)) {
			return false
		}
		body := weights[from:]
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(weights)-1, len(weights)))
			w.WriteHeader(http.StatusPartialContent)
		}
		for len(body) > 0 {
			n, err := w.Write(body[:min(len(body), 64<<10)])
			if err != nil || r.Context().Err() != nil {
				return true
			}
			sent.Add(int64(n))
			body = body[n:]
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		return true
	})
	for i, signal := range []os.Signal{syscall.SIGKILL, os.Interrupt, syscall.SIGKILL} {
		c := program("download", "org/model", "--quiet")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		before := sent.Load()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for sent.Load() < before+1<<20 {
			time.Sleep(time.Millisecond)
		}
		if err := c.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if signal == os.Interrupt && (c.ProcessState.ExitCode() != exitInterrupted ||
			!strings.Contains(stderr.String(), "the same command resumes")) {
			t.Errorf("interrupted: exit code %d, %s", c.ProcessState.ExitCode(), stderr.String())
		}
		if found, _ := filepath.Glob(filepath.Join(os.Getenv("HF_HUB_CACHE"), "models--org--model", "snapshots", "*")); len(found) > 0 {
			t.Errorf("stop %d: there is a snapshot", i)
		}
	}
	path := strings.TrimSpace(ok(t, "", "download", "org/model", "--quiet"))
	got, err := os.ReadFile(filepath.Join(path, "model.safetensors"))
	if err != nil || !bytes.Equal(got, weights) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	// Bytes in flight when a process dies are lost.
	if n := sent.Load(); n > int64(len(weights))+3<<20 {
		t.Errorf("the store sent %d bytes for %d", n, len(weights))
	}
	t.Logf("the store sent %d bytes for %d", sent.Load(), len(weights))
}
