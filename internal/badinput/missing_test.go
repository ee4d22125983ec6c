package badinput

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMissing: the error names a similar file or directory beside the missing one, but none that
// is not there.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"runs/arabic/5-mix", "recipe.yaml"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, near := range map[string]string{
		"recpie.yaml": "recipe.yaml", "runs/arabic/5-mx": "runs/arabic/5-mix", "run/arabic/5-mix": "runs/arabic/5-mix",
		"run/arabic/6-adapter": "", "other": "", "runs/turkish": "",
	} {
		err := Missing(filepath.Join(dir, filepath.FromSlash(path)), "do this")
		if !Is(err) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "do this") {
			t.Errorf("%s: %v", path, err)
		}
		if got, want := strings.Contains(err.Error(), "did you mean"), near != ""; got != want ||
			want && !strings.Contains(err.Error(), filepath.Join(dir, filepath.FromSlash(near))+"?") {
			t.Errorf("%s: %v, want %q", path, err, near)
		}
	}
	_, err := os.Stat(filepath.Join(dir, "none"))
	if !IsMissing(err) || IsMissing(nil) || IsMissing(fs.ErrPermission) {
		t.Error("what is missing")
	}
}
