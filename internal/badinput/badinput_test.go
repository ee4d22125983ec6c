package badinput

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadFile: a sparse file of a terabyte and an endless one are refused; others are read
// whole.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	for _, n := range []int{0, 1, 511, 512, 1000} {
		want := bytes.Repeat([]byte("x"), n)
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path, 1000); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip(err)
	}
	for file, want := range map[string]string{path: "has 1099511627776 bytes, expected at most 1000 in a file of this kind",
		"/dev/zero": "/dev/zero is a device"} {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if _, err := ReadFile(file, 1000); !Is(err) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
	if _, err := ReadFile(filepath.Join(dir, "none"), 1); !errors.Is(err, fs.ErrNotExist) || Is(err) {
		t.Errorf("missing file: %v", err)
	}
}
