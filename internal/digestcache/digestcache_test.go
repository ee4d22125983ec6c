package digestcache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fixture is a cache directory of its own and a file that is worth an entry.
type fixture struct {
	t        *testing.T
	dir      string
	path     string
	computed int
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, dir: t.TempDir()}
	now = func() time.Time { return time.Now().Add(time.Minute) } // files are settled at once
	t.Cleanup(func() { now = time.Now })
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, f.dir)
	}
	f.path = filepath.Join(t.TempDir(), "weights")
	f.write("a")
	return f
}

// write writes the file, an hour ago by its modification time.
func (f *fixture) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, bytes.Repeat([]byte(text), smallest), 0o666); err != nil {
		f.t.Fatal(err)
	}
	f.age()
}

// age sets the modification time back.
func (f *fixture) age() {
	f.t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.path, old, old); err != nil {
		f.t.Fatal(err)
	}
}

// want calls Of and compares its value, the first byte of the file, and the number of times
// that it was computed so far.
func (f *fixture) want(value string, computed int) {
	f.t.Helper()
	got, err := Of("first byte", []string{f.path}, func() ([]string, error) {
		f.computed++
		data, err := os.ReadFile(f.path)
		return []string{string(data[:1])}, err
	})
	if err != nil || len(got) != 1 || got[0] != value || f.computed != computed {
		f.t.Errorf("%v, %v, computed %d times, want %q and %d", got, err, f.computed, value, computed)
	}
}

func (f *fixture) entries() []string {
	f.t.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "*", "*", "digests", "*.json")) // macOS: Library/Caches
	if err == nil && len(names) == 0 {
		names, err = filepath.Glob(filepath.Join(f.dir, "barka", "digests", "*.json"))
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// TestRemembers computes once, again after the file changed with its size and its
// modification time kept, and again on request.
func TestRemembers(t *testing.T) {
	f := newFixture(t)
	f.want("a", 1)
	f.want("a", 1)
	f.write("b")
	f.want("b", 2)
	f.want("b", 2)
	Rehash(true)
	defer Rehash(false)
	f.want("b", 3)
	Rehash(false)
	f.want("b", 3)
	if n := len(f.entries()); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// TestRecentlyWritten stores no digest of a file that was written to just now, or that
// has times in the future.
func TestRecentlyWritten(t *testing.T) {
	f := newFixture(t)
	now = time.Now
	for i, at := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
		if err := os.Chtimes(f.path, at, at); err != nil {
			t.Fatal(err)
		}
		f.want("a", i+1)
	}
	if n := len(f.entries()); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// TestChangedMeanwhile stores no digest of a file that is written to while it is read.
func TestChangedMeanwhile(t *testing.T) {
	f := newFixture(t)
	_, err := Of("first byte", []string{f.path}, func() ([]string, error) {
		f.write("b")
		return []string{"a"}, nil
	})
	if err != nil || len(f.entries()) != 0 {
		t.Errorf("%v, %d entries", err, len(f.entries()))
	}
	f.want("b", 1)
}

// TestDamagedEntry flips each byte of an entry: it is computed again, or the right value
// is found all the same.
func TestDamagedEntry(t *testing.T) {
	f := newFixture(t)
	f.want("a", 1)
	name := f.entries()[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x11
		if err := os.WriteFile(name, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		before := f.computed
		got, err := Of("first byte", []string{f.path}, func() ([]string, error) { f.computed++; return []string{"a"}, nil })
		if err != nil || got[0] != "a" {
			t.Fatalf("byte %d: %v, %v", i, got, err)
		}
		if f.computed == before && bytes.IndexByte([]byte(" \t\r\n"), whole[i]) < 0 {
			t.Errorf("byte %d (%q): the damaged entry was used", i, whole[i])
		}
	}
	for _, text := range []string{"", "{}", "null", "[]"} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		before := f.computed
		f.want("a", before+1)
	}
}

// TestNoEntry stores nothing for small files, errors and other computations' values.
func TestNoEntry(t *testing.T) {
	f := newFixture(t)
	failed := errors.New("failed")
	if _, err := Of("first byte", []string{f.path}, func() ([]string, error) { return nil, failed }); err != failed {
		t.Errorf("%v", err)
	}
	f.want("a", 1)
	got, err := Of("another", []string{f.path}, func() ([]string, error) { return []string{"x"}, nil })
	if err != nil || got[0] != "x" {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.Truncate(f.path, 10); err != nil {
		t.Fatal(err)
	}
	f.age()
	f.want("a", 2)
	f.want("a", 3)
}

// TestOldEntriesAreRemoved leaves those that were used.
func TestOldEntriesAreRemoved(t *testing.T) {
	f := newFixture(t)
	f.want("a", 1)
	name := f.entries()[0]
	old := time.Now().Add(-unused / 2)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	f.want("a", 1)
	stale := filepath.Join(filepath.Dir(name), "0000000000000000.json")
	if err := os.WriteFile(stale, []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	older := time.Now().Add(-2 * unused)
	if err := os.Chtimes(stale, older, older); err != nil {
		t.Fatal(err)
	}
	tidy(filepath.Dir(name))
	if left := f.entries(); len(left) != 1 || left[0] != name {
		t.Errorf("left: %v", left)
	}
	if info, err := os.Stat(name); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("a used entry keeps its time: %v, %v", info.ModTime(), err)
	}
}
