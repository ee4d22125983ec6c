// Package reference holds Python alone; this test regenerates the golden
// files with it.
package reference

import (
	"os"
	"os/exec"
	"testing"
)

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
