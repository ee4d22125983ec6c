package mapped

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/parallel"
)

// TestReleasedBytesComeBack: released bytes can be read again.
func TestReleasedBytesComeBack(t *testing.T) {
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
		f.Release(span[0], span[1])
		if !bytes.Equal(f.Bytes, want) {
			t.Errorf("other bytes after releasing %v", span)
		}
		got := make([]byte, 100)
		if _, err := f.ReadAt(got, 5003); err != nil || !bytes.Equal(got, want[5003:5103]) {
			t.Errorf("other bytes read after releasing %v: %v", span, err)
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

// TestChangedFiles: every change of a mapped file gives an error that names it, also a read
// of bytes beyond the new end.
func TestChangedFiles(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	old := time.Now().Add(-time.Hour)
	timeSetBack := "set back"
	if runtime.GOOS == "windows" {
		timeSetBack = "" // not noticed there
	}
	for name, c := range map[string]struct {
		change func(path string) error
		want   string // of Unchanged; "" for nothing
		lost   bool
	}{
		"untouched":       {func(string) error { return nil }, "", false},
		"removed":         {os.Remove, "", false},
		"moved":           {func(path string) error { return os.Rename(path, path+".old") }, "", false},
		"linked":          {func(path string) error { return os.Link(path, path+".link") }, "", false},
		"of another mode": {func(path string) error { return os.Chmod(path, 0o600) }, "", false},
		"with its time set back": {func(path string) error {
			return errors.Join(os.WriteFile(path, bytes.Repeat([]byte("x"), len(content)), 0o644), os.Chtimes(path, old, old))
		}, timeSetBack, false},
		"cut": {func(path string) error { return os.Truncate(path, 5000) }, "truncated", true},
		"emptied and written again": {func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("x"), len(content)), 0o644)
		}, "written to", false},
		"grown": {func(path string) error { return os.Truncate(path, 1<<20) }, "has grown", false},
		"replaced": {func(path string) error {
			return errors.Join(os.WriteFile(path+".new", content, 0o644), os.Rename(path+".new", path))
		}, "another file", false},
	} {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := c.change(path); err != nil {
			t.Fatal(err)
		}
		err = f.Unchanged()
		if c.want == "" && err != nil || c.want != "" && (!badinput.Is(err) ||
			!strings.Contains(err.Error(), path+" changed") || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if stayed := f.Stayed(); (stayed != nil) != (c.want != "" && name != "replaced") {
			t.Errorf("%s: Stayed says %v", name, stayed)
		}
		err = Guard(func() error { bytes.Count(f.Bytes, []byte("7")); return nil })
		if !c.lost && err != nil || c.lost && (!badinput.Is(err) || !strings.Contains(err.Error(), path+" changed")) {
			t.Errorf("%s: reading: %v", name, err)
		}
		pool := parallel.New(3)
		err = Guard(func() error {
			pool.For(len(content)/1000, 1, func(_, lo, hi int) { bytes.Count(f.Bytes[lo*1000:hi*1000], []byte("7")) })
			return nil
		})
		pool.Close()
		if !c.lost && err != nil || c.lost && (!badinput.Is(err) || !strings.Contains(err.Error(), path+" changed")) {
			t.Errorf("%s: reading by workers: %v", name, err)
		}
	}
	if err := Guard(func() error { panic("boom") }); err == nil || badinput.Is(err) || err.Error() != "boom" {
		t.Errorf("another panic became %v", err)
	}
}
