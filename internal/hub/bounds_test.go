package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/resident"
)

// TestHugeSettings: a token's file, a ref and an index that are sparse files of a terabyte
// are not read.
func TestHugeSettings(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "huge")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip(err)
	}
	t.Setenv("HF_TOKEN", "")
	t.Setenv("HUGGING_FACE_HUB_TOKEN", "")
	t.Setenv("HF_TOKEN_PATH", path)
	grown := resident.Growth(func() {
		if _, err := token(); !badinput.Is(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("a token: %v", err)
		}
		if whole(path) {
			t.Error("an index of a terabyte is whole")
		}
	})
	if grown > 64<<20 {
		t.Errorf("%d MiB", grown>>20)
	}
}
