package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteReplacesOrLeaves(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "card.md")
	if err := os.WriteFile(path+".tmp", []byte("what a killed process left behind"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	err := Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half of the seco"); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "first" {
		t.Errorf("after a failed write the file holds %q, %v", got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWriteNeedsTheDirectory(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "missing", "x"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that the directory is missing", err)
	}
}
