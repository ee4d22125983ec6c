package demo

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/filelock"
)

// TestExtract: the same files again are no work, changed ones are kept unless
// they are to be replaced, and two processes do not write at once.
func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inputs")
	recipe, err := Extract(dir, Seed)
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				n++
			}
			return err
		})
		return n
	}
	n := count()
	if err := os.WriteFile(recipe, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(dir, Seed); !badinput.Is(err) || !strings.Contains(err.Error(), "recipe.yaml") {
		t.Errorf("a changed file: %v", err)
	}
	if text, err := os.ReadFile(recipe); err != nil || string(text) != "mine" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if _, err := Replace(dir, 7); err != nil || count() != n {
		t.Errorf("replaced: %v; %d files, want %d", err, count(), n)
	}
	if text, _ := os.ReadFile(recipe); !strings.Contains(string(text), "\nseed: 7\n") {
		t.Errorf("it was not replaced, or has another seed: %s", text)
	}
	lock, err := filelock.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(dir, Seed); !badinput.Is(err) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("beside another process: %v", err)
	}
	if err := lock.Discard(); err != nil {
		t.Error(err)
	}
}
