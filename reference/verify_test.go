// Package reference holds Python alone; these tests regenerate the golden
// files with it, and check what the scripts read of the repository.
package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDemoPrompts: the prompts that make_demo_models.py trains on are there,
// and it fills in all of their fields.
func TestDemoPrompts(t *testing.T) {
	script, err := os.ReadFile("make_demo_models.py")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`render\("(\w+)"`).FindAllSubmatch(script, -1) {
		name := string(m[1])
		if seen[name] {
			continue
		}
		seen[name] = true
		prompt, err := os.ReadFile(filepath.Join("..", "testdata", "chain", "prompts", name+".txt"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, field := range regexp.MustCompile(`\{\{(.*?)\}\}`).FindAllStringSubmatch(string(prompt), -1) {
			if !strings.Contains(string(script), `"`+strings.TrimPrefix(field[1], ".")+`": `) {
				t.Errorf("%s: the script does not fill in %s", name, field[0])
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("the script asks for %d prompts, expected 5: %v", len(seen), seen)
	}
}

func TestGoldens(t *testing.T) {
	if os.Getenv("BARKA_VERIFY") != "1" {
		t.Skip("BARKA_VERIFY=1 regenerates the golden files; needs Python with reference/requirements.txt")
	}
	python := os.Getenv("BARKA_PYTHON")
	if python == "" {
		python = "python3"
	}
	out, err := exec.Command(python, "verify.py").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
