package translationmemory

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// opening is the environment variable with the file that a process of TestOpenAtOnce opens.
const opening = "BARKA_MEMORY_TEST_OPEN"

// TestOpenAtOnce: several processes make the same memory.
func TestOpenAtOnce(t *testing.T) {
	if path := os.Getenv(opening); path != "" {
		f, err := Open(path)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	for round := range 40 {
		var processes [6]*exec.Cmd
		var said [6]bytes.Buffer
		for i := range processes {
			c := exec.Command(os.Args[0], "-test.run", "^TestOpenAtOnce$")
			c.Env = append(os.Environ(), opening+"="+filepath.Join(dir, fmt.Sprint(round)))
			c.Stdout = &said[i]
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			processes[i] = c
		}
		for i, c := range processes {
			if err := c.Wait(); err != nil {
				t.Errorf("%v\n%s", err, said[i].Bytes())
			}
		}
	}
}
