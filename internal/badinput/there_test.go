package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExists(t *testing.T) {
	dir := t.TempDir()
	file, loop := filepath.Join(dir, "file"), filepath.Join(dir, "loop")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", loop); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]struct{ exists, dir bool }{dir: {true, true}, file: {true, false}, filepath.Join(dir,
		"none"): {}, filepath.Join(file, "below"): {}} {
		exists, err := Exists(path)
		isDir, err2 := IsDir(path)
		if exists != want.exists || isDir != want.dir || err != nil || err2 != nil {
			t.Errorf("%s: %v, %v, directory %v, %v", path, exists, err, isDir, err2)
		}
	}
	for _, ask := range []func(string) (bool, error){Exists, IsDir} {
		if yes, err := ask(loop); yes || err == nil || !strings.Contains(err.Error(), loop) {
			t.Errorf("a link to itself: %v, %v", yes, err)
		}
	}
}
