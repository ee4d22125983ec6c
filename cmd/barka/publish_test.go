package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/hub/hubtest"
	"barka/internal/testfiles"
)

const writeToken = "hf_writewritewritewrite"

// publishHub starts a hub that takes parts of 64 KiB, with a token that may write.
func publishHub(t *testing.T) *hubtest.Server {
	t.Helper()
	s := testHub(t)
	s.Token, s.ChunkSize = writeToken, 64<<10
	t.Setenv("HF_TOKEN", writeToken)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return s
}

// demonstration runs the recipe of testdata/chain and returns its directory.
func demonstration(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "demo")
	ok(t, "", append(runChain(t, out), "--quiet")...)
	return out
}

// TestPublishRun publishes what a run made, downloads it again and uses it.
func TestPublishRun(t *testing.T) {
	s := publishHub(t)
	made := demonstration(t)
	in := func(name string) string { return filepath.Join(made, name) }
	base := "--base-model=google/gemma-2-2b"

	// A dry run says everything and writes nothing.
	r := barka(t, "", "publish", in("7-merged"), "org/merged", base, "--results", in("9-eval-tuned"),
		"--base-results", in("8-eval-base"), "--dry-run")
	for _, want := range []string{"model.safetensors\t", "\tlfs\tnew", "license: gemma", "## Evaluation", "model-index:",
		"| method | LoRA, rank 8"} {
		if r.code != exitDone || !strings.Contains(r.out, want) {
			t.Errorf("exit code %d, no %q in %s%s", r.code, want, r.out, r.err)
		}
	}
	if len(s.Commits()) > 0 {
		t.Fatal("a dry run wrote")
	}
	var plan upload
	if err := json.Unmarshal([]byte(ok(t, "", "publish", in("5-mix"), "org/set", "--dry-run", "--json")), &plan); err != nil ||
		plan.License != "cc0-1.0" || plan.ToSend == 0 || plan.Guessed == "" || len(plan.Files) < 4 {
		t.Errorf("%+v, %v", plan, err)
	}

	ok(t, "", "publish", in("5-mix"), "org/set", "--private", "--quiet")
	ok(t, "", "publish", in("6-adapter"), "org/lora", base, "--dataset", "org/set", "--quiet")
	ok(t, "", "publish", in("7-merged"), "org/merged", base, "--revision", "v1", "--message", "A first", "--quiet")
	if n := len(s.Commits()); n != 3 || s.Commits()[2].Summary != "A first" || !s.Private("datasets", "org/set") {
		t.Errorf("%d commits: %+v", n, s.Commits())
	}
	if again := ok(t, "", "publish", in("6-adapter"), "org/lora", base, "--dataset", "org/set"); !strings.Contains(again, "has all of it") ||
		len(s.Commits()) != 3 {
		t.Errorf("%s; %d commits", again, len(s.Commits()))
	}
	set := s.Content("datasets", "org/set", "main")
	delete(set, ".gitattributes")
	want, err := hubtest.ReadDir(in("5-mix"))
	if err != nil {
		t.Fatal(err)
	}
	delete(want, "README.md")
	card := set["README.md"]
	delete(set, "README.md")
	if !maps.EqualFunc(set, want, bytes.Equal) || !bytes.Contains(card, []byte("license: cc0-1.0")) {
		t.Errorf("%v, expected %v\n%.100s", slices.Sorted(maps.Keys(set)), slices.Sorted(maps.Keys(want)), card)
	}

	// What was published works.
	local := ok(t, "", "generate", "--model", in("7-merged"), "--prompt", "مرحبا", "--max-tokens", "5", "--quiet")
	if got := ok(t, "", "generate", "--model", "org/merged@v1", "--prompt", "مرحبا", "--max-tokens", "5", "--quiet"); got != local {
		t.Errorf("%q, expected %q", got, local)
	}
	ok(t, "", "download", "org/lora")
	ok(t, "", "generate", "--model", filepath.Join(made, "inputs", "models", "gemma2"), "--adapter", "org/lora", "--prompt", "x", "--quiet")

	// A card that somebody edits on the hub stays, unless it is to be replaced.
	files := s.Content("models", "org/lora", "main")
	files["README.md"] = append(files["README.md"], "\nTheirs.\n"...)
	s.Add("models", "org/lora", "main", files)
	if err := os.WriteFile(in("6-adapter/NOTICE"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = barka(t, "", "publish", in("6-adapter"), "org/lora", base)
	if r.code != exitDone || !strings.Contains(r.err, "it is kept") ||
		!bytes.Contains(s.Content("models", "org/lora", "main")["README.md"], []byte("Theirs.")) {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	ok(t, "", "publish", in("6-adapter"), "org/lora", base, "--replace-card", "--quiet")
	if bytes.Contains(s.Content("models", "org/lora", "main")["README.md"], []byte("Theirs.")) {
		t.Error("the card was not replaced")
	}
	for _, args := range [][]string{{"--license", "mit", "contradicts the base model"}, {"--license", "cc0", "contradicts"}} {
		r = barka(t, "", append([]string{"publish", in("7-merged"), "org/merged", base}, args[:2]...)...)
		if r.code != exitBadInput || !strings.Contains(r.err, args[2]) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.err)
		}
	}
	t.Setenv("HF_TOKEN", "hf_anotheranotheranother")
	r = barka(t, "", "publish", in("5-mix"), "org/mine")
	if r.code != exitBadInput || !strings.Contains(r.err, "write permission") || strings.Contains(r.err, "hf_another") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

// TestRunPublishes: the last step of a run publishes what the block names, and a second run
// sends nothing.
func TestRunPublishes(t *testing.T) {
	s := publishHub(t)
	dir := t.TempDir()
	path := testfiles.Chain(t, dir)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(block string) {
		t.Helper()
		if err := os.WriteFile(path, append(text, block...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "run")
	refused := func(want string) {
		t.Helper()
		if r := barka(t, "", "run", path, "--out", out); r.code != exitBadInput || !strings.Contains(r.err, want) {
			t.Errorf("exit code %d, %s, want %q", r.code, r.err, want)
		}
	}
	write("\npublish:\n  model: org/m\n")
	refused("add base_model")
	write("\npublish:\n")
	refused("publish names nothing")
	write("\npublish:\n  model: org\n")
	refused("is not a hub id")
	write("\npublish:\n  dataset: org/set\n  adapter: org/lora\n  model: org/merged\n  private: true\n  base_model: google/gemma-2-2b\n")
	t.Setenv("HF_TOKEN", "")
	refused("publishing needs a token")
	t.Setenv("HF_TOKEN", writeToken)
	if plan := ok(t, "", "run", path, "--out", out, "--dry-run"); !strings.Contains(plan, "publish adapter\tuploads") || len(s.Commits()) > 0 {
		t.Errorf("%s", plan)
	}
	summary := ok(t, "", "run", path, "--out", out)
	for _, want := range []string{"publish dataset\t\t" + s.URL() + "/datasets/org/set\n", "publish model\t\t" + s.URL() + "/org/merged\n"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in %s", want, summary)
		}
	}
	card := string(s.Content("models", "org/merged", "main")["README.md"])
	for _, want := range []string{"datasets:\n- \"org/set\"\n", "base_model:\n- \"google/gemma-2-2b\"\n", "| task | base | this model |"} {
		if !strings.Contains(card, want) {
			t.Errorf("no %q in %s", want, card)
		}
	}
	if n := len(s.Commits()); n != 3 || !s.Private("models", "org/lora") {
		t.Errorf("%d commits", n)
	}
	ok(t, "", "run", path, "--out", out, "--quiet")
	if n := len(s.Commits()); n != 3 {
		t.Errorf("%d commits after a second run", n)
	}
}
