package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTutorial runs the commands of docs/tutorial.md in order, with tiny models and a test
// server in place of the real ones. The recipe that it makes reads a dump and has the prompts of
// testdata/chain's generator.
func TestTutorial(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := inputs(t)
	s := quickstartHub(t, dir)
	s.Token = writeToken
	t.Setenv("HF_TOKEN", writeToken)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	shipped, err := filepath.Abs(filepath.Join("..", "..", "recipes", "quickstart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	quick := quickstart(t, dir, shipped)
	t.Chdir(dir)
	ran := 0
	for lines := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(string(text), "\\\n", ""))); lines.Scan(); {
		line, ok := strings.CutPrefix(lines.Text(), "    barka ")
		if !ok {
			continue
		}
		r := barka(t, "", arguments(line)...)
		if r.code != exitDone {
			t.Fatalf("barka %s: exit code %d\n%s%s", line, r.code, r.out, r.err)
		}
		if strings.HasPrefix(line, "init ") {
			if made, err := os.ReadFile("arabic.yaml"); err != nil || !strings.Contains(string(made), "en.wikipedia.org") {
				t.Fatal(err)
			}
			if err := os.WriteFile("arabic.yaml", []byte(strings.Replace(quick, "name: quickstart", "name: arabic", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		ran++
	}
	if ran < 20 {
		t.Errorf("%d commands ran", ran)
	}
	if n := len(s.Commits()); n != 2 {
		t.Errorf("%d commits on the hub, want those of the dataset and the adapter", n)
	}
}

// arguments splits a command line with double quotes.
func arguments(line string) []string {
	var all []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}
