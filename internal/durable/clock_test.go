package durable

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"barka/internal/dataset"
)

// setTimes sets the times of everything below dir.
func setTimes(t *testing.T, dir string, at time.Time) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestClockJumps continues work whose files are from the future, or older than any computer,
// and finds the finished directory unchanged. Nothing in a dataset depends on the time.
func TestClockJumps(t *testing.T) {
	want := reference(t)
	for name, at := range map[string]time.Time{
		"future": time.Now().AddDate(50, 0, 0), "past": time.Unix(0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
			defer cancel()
			if err := testStage(ctx, out, 10*time.Millisecond, 3); err == nil {
				t.Fatal("the stage ended before it could be interrupted")
			}
			setTimes(t, out+dataset.PartialSuffix, at)
			if err := testStage(context.Background(), out, 0, 3); err != nil {
				t.Fatal(err)
			}
			sameTree(t, want, out)
			setTimes(t, out, at)
			r, err := Begin(out, Identity{Stage: "test", Version: 1, Options: testOptions{Beam: 5}, Seed: 7}, false)
			if err != nil || !r.Done() {
				t.Fatalf("the finished directory: %v", err)
			}
			r.Close()
		})
	}
}
