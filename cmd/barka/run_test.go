package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recipeWith extracts testdata/chain's recipe with changes, given as pairs of old and
// new text.
func recipeWith(t *testing.T, changes ...string) string {
	t.Helper()
	path := filepath.Join(inputs(t), "recipe.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunRefusesAtOnce: mistakes that would stop a run after hours are found by --dry-run,
// and by the run itself before it writes anything.
func TestRunRefusesAtOnce(t *testing.T) {
	path := recipeWith(t, "base: models/gemma2", "base: models/gema2", "rank: 8", "rank: eight",
		"tasks: data/tasks.txt", "tasks: acva:Algerai")
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"--dry-run"}, nil} {
		r := barka(t, "", append([]string{"run", path, "--json", "--offline", "--out", out}, args...)...)
		all := events(t, r.err)
		exit := all[len(all)-1]
		problems, _ := exit["problems"].([]any)
		if r.code != exitBadInput || len(problems) != 3 {
			t.Fatalf("%v: exit code %d, %s", args, r.code, r.err)
		}
		for i, want := range []string{"did you mean models/gemma2?", `train.rank is "eight", expected a whole number`,
			`did you mean "acva:Algeria"?`} {
			p, _ := problems[i].(map[string]any)
			if text, _ := p["text"].(string); !strings.Contains(text, want) || event(p).number("line") < 1 {
				t.Errorf("%v: problem %d is %v, expected %q with a line", args, i, p, want)
			}
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: the run began", args)
		}
	}
	r := barka(t, "", "run", path, "--offline", "--out", out)
	if !strings.Contains(r.err, "recipe.yaml: 3 mistakes\n  line ") {
		t.Errorf("%s", r.err)
	}
}

// TestContact: the operator of a wiki's reader is named on the command line or in the environment,
// and a run without one says how.
func TestContact(t *testing.T) {
	path := recipeWith(t, "  dump: data/pages.xml", "  api: http://127.0.0.1:9/w/api.php\n  titles: [Algeria]")
	dry := []string{"run", path, "--dry-run", "--offline", "--out", filepath.Join(t.TempDir(), "out")}
	if r := barka(t, "", dry...); r.code != exitBadInput || !strings.Contains(r.err, "give --contact, or set BARKA_CONTACT") {
		t.Errorf("without one: exit code %d, %s", r.code, r.err)
	}
	if r := barka(t, "", append(dry, "--contact", "nobody")...); r.code != exitBadInput || !strings.Contains(r.err, `contact "nobody"`) {
		t.Errorf("no address: exit code %d, %s", r.code, r.err)
	}
	t.Setenv("BARKA_CONTACT", "somebody@barka.test")
	if r := barka(t, "", dry...); strings.Contains(r.err, "contact") || !strings.Contains(r.err, "127.0.0.1:9") {
		t.Errorf("of the environment: exit code %d, %s", r.code, r.err)
	}
}

// TestRunDryRun: every stage is listed with its work, and stages with models also with time
// and memory.
func TestRunDryRun(t *testing.T) {
	r := barka(t, "", "run", recipeWith(t), "--dry-run", "--offline", "--out", filepath.Join(t.TempDir(), "out"))
	if r.code != exitDone || !strings.Contains(r.err, "times are lower bounds") {
		t.Fatalf("exit code %d, %s", r.code, r.err)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if lines[0] != "stage\twork\ttime\tmemory\twhere" || len(lines) != 16 {
		t.Fatalf("%s", r.out)
	}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		models := strings.HasPrefix(cells[0], "synth") || strings.HasPrefix(cells[0], "translate") ||
			strings.HasPrefix(cells[0], "eval") || cells[0] == "train"
		if cells[0] != "report" && cells[1] == "" || models != strings.HasPrefix(cells[2], "at least ") || models != (cells[3] != "") {
			t.Errorf("%q", cells)
		}
	}
}

// TestRunFromHub: a dry run lists what has to be downloaded, and fetches nothing. A run
// downloads its models first and then checks them.
func TestRunFromHub(t *testing.T) {
	s := testHub(t)
	dir := inputs(t)
	addRepo(t, s, "models", "org/base", filepath.Join(dir, "models", "gemma2"))
	path := recipeWith(t, "base: models/gemma2", "base: org/base", "rank: 8", "targets: [q_porj]", "epochs: 6", "epochs: 1")
	out := filepath.Join(t.TempDir(), "out")
	r := barka(t, "", "run", path, "--dry-run", "--out", out)
	if r.code != exitDone || !strings.Contains(r.err, "org/base at commit") {
		t.Errorf("dry run: exit code %d, %s", r.code, r.err)
	}
	for _, q := range s.Requests() {
		if q.Store || strings.Contains(q.Path, "/resolve/") {
			t.Errorf("a dry run fetched %s", q.Path)
		}
	}
	r = barka(t, "", "run", path, "--out", out)
	if r.code != exitBadInput || !strings.Contains(r.err, "did you mean q_proj?") {
		t.Errorf("a target that the downloaded model does not have: exit code %d, %s", r.code, r.err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the run began")
	}
	r = barka(t, "", "run", recipeWith(t, "base: models/gemma2", "base: org/bsae"), "--dry-run", "--out", out)
	if r.code != exitBadInput || !strings.Contains(r.err, "models.base: ") || !strings.Contains(r.err, "org/bsae") {
		t.Errorf("a model that the hub does not have: exit code %d, %s", r.code, r.err)
	}
}
