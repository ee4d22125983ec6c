package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestDigestEndsEarly: an interrupted command does not read a large file to its
// end.
func TestDigestEndsEarly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dump.xml")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<43); err != nil { // hours, without a byte on the disk
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, p := range []string{path, filepath.Dir(path)} {
		if _, err := Digest(ctx, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
