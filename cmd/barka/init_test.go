package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/recipe"
)

// TestInit: the recipe that init writes passes run --dry-run, with defaults, with flags and with
// answers that need quotes.
func TestInit(t *testing.T) {
	dir := inputs(t)
	quickstartHub(t, dir)
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	ok(t, "", "init", path)
	r := barka(t, "", "run", path, "--dry-run", "--out", filepath.Join(dir, "out"), "--contact", "nobody@barka.test")
	// All but the wiki, which cannot be asked here, is right.
	for line := range strings.SplitSeq(strings.TrimSpace(r.err), "\n") {
		if strings.HasPrefix(line, "  ") && !strings.Contains(line, "wiki.") {
			t.Errorf("dry run: %s", line)
		}
	}
	if !strings.Contains(r.out, "eval tuned") {
		t.Errorf("%s%s", r.out, r.err)
	}
	if again := barka(t, "", "init", path); again.code != exitBadInput || !strings.Contains(again.err, "--overwrite") {
		t.Errorf("a file that is there: exit code %d, %s", again.code, again.err)
	}
	ok(t, "", "init", path, "--overwrite", "--name", "sw", "--language", "swh_Latn", "--titles", `Kenya, "Mombasa": history`, "--pages", "7",
		"--endpoint", "http://localhost:8000/v1", "--publish", "org")
	made, err := recipe.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if made.Language != "swh_Latn" || made.Eval != nil || made.Wiki.MaxPages != 7 || made.Wiki.Titles[1] != `"Mombasa": history` ||
		made.Models.Generator.Endpoint != "http://localhost:8000/v1" || made.Publish.Adapter != "org/sw-lora" || !made.Publish.Private {
		t.Errorf("%+v", made)
	}
	for flag, value := range map[string]string{"--language": "arabic", "--name": "a/b", "--pages": "-1"} {
		if r := barka(t, "", "init", filepath.Join(dir, "x.yaml"), flag, value); r.code != exitUsage {
			t.Errorf("%s %s: exit code %d, %s", flag, value, r.code, r.err)
		}
	}
}

// TestInitAsks: an empty answer is the default, and a wrong one is asked again.
func TestInitAsks(t *testing.T) {
	var c initCmd
	var out strings.Builder
	if err := c.complete(true, bufio.NewReader(strings.NewReader("mine\nArabic\narz_Arab\n\nmy/model\n")), &out); err != nil {
		t.Fatal(err)
	}
	if c.Name != "mine" || c.Language != "arz_Arab" || !strings.HasPrefix(c.Titles, "Algeria") || c.Base != "my/model" || c.Generator == "" {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(out.String(), "expected a code such as arb_Arab") {
		t.Errorf("%s", out.String())
	}
	if err := new(initCmd).complete(true, bufio.NewReader(io.LimitReader(strings.NewReader("a/b"), 3)), io.Discard); err == nil {
		t.Error("a wrong answer at the end of the input")
	}
}

// TestDoctorRecipe: the questions of somebody before a run are answered.
func TestDoctorRecipe(t *testing.T) {
	path := recipeWith(t, "model: models/gemma2\n", "model: models/gemma2\n")
	r := barka(t, "", "doctor", path, "--offline")
	for _, want := range []string{"does it fit\tyes: ", "how long\tat least ", "what it costs\tnothing", "to download\tnothing"} {
		if r.code != exitDone || !strings.Contains(r.out, want) {
			t.Errorf("exit code %d, no %q in %s%s", r.code, want, r.out, r.err)
		}
	}
	model := filepath.Join(filepath.Dir(path), "models", "gemma2")
	if text := ok(t, "", "doctor", model); !strings.Contains(text, "LoRA, bf16\trank ") || !strings.Contains(text, "writing, int8\tat most ") {
		t.Errorf("%s", text)
	}
	if r := barka(t, "", "doctor", model, "--model", model); r.code != exitUsage {
		t.Errorf("twice: exit code %d", r.code)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\ntrian: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := barka(t, "", "doctor", bad); r.code != exitBadInput || !strings.Contains(r.err, "did you mean train?") {
		t.Errorf("a mistake: exit code %d, %s", r.code, r.err)
	}
}

// TestVersion: the build is described for people and for programs.
func TestVersion(t *testing.T) {
	if text := ok(t, "", "version"); !strings.HasPrefix(text, "barka 0.") || !strings.Contains(text, "go1.") {
		t.Errorf("%s", text)
	}
	if text := ok(t, "", "version", "--json"); !strings.Contains(text, `"system"`) {
		t.Errorf("%s", text)
	}
}
