package train

import (
	"os"
	"path/filepath"
	"testing"

	"barka/internal/badinput"
)

// TestHugeState: a checkpoint's numbers of a terabyte, which take no place on the
// disk, are refused.
func TestHugeState(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateNumbers)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip(err)
	}
	var v any
	if err := badinput.ReadJSON(path, &v); !badinput.Is(err) {
		t.Errorf("%v", err)
	}
}
