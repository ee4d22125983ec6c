package mapped

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestForgottenBytesComeBack: what is forgotten is read again.
func TestForgottenBytesComeBack(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range [][2]int{{0, len(want)}, {1, len(want) - 1}, {5000, 5001}, {7, 7}} {
		f.Forget(span[0], span[1])
		if !bytes.Equal(f.Bytes, want) {
			t.Errorf("other bytes after forgetting %v", span)
		}
		got := make([]byte, 100)
		if _, err := f.ReadAt(got, 5003); err != nil || !bytes.Equal(got, want[5003:5103]) {
			t.Errorf("other bytes read after forgetting %v: %v", span, err)
		}
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatCannotBeMapped(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(empty); err != nil || len(f.Bytes) != 0 || f.Close() != nil {
		t.Errorf("an empty file: %v", err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Open(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}
