package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestWriteReplacesOrLeaves(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "card.md")
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
	if left := names(t, dir); !slices.Equal(left, []string{"card.md"}) {
		t.Errorf("left behind: %v", left)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestWritersOfOneFile: writers of the same target do not disturb each other. The file is
// complete at any time, with the content of one of them.
func TestWritersOfOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("n", 240)) // nearly the longest possible name
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			for range 20 {
				err := Write(path, func(w io.Writer) error {
					for range 4 {
						if _, err := w.Write(bytes.Repeat([]byte{i}, 1000)); err != nil {
							return err
						}
						runtime.Gosched()
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				got, err := os.ReadFile(path)
				if err != nil || len(got) != 4000 || bytes.Count(got, got[:1]) != 4000 {
					t.Errorf("the file holds %d bytes, not all equal, or cannot be read: %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestLitter: a process removes the temporary files of a killed one, but not those of a
// running one, and no other files.
func TestLitter(t *testing.T) {
	if dir := os.Getenv("ATOMICFILE_TEST_DIR"); dir != "" { // the child: writes, and is killed
		f, err := Create(filepath.Join(dir, "card.md"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(f.Name())
		if os.Getenv("ATOMICFILE_TEST_DIE") != "" {
			os.Exit(1)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	child := func(die string) error {
		c := exec.Command(os.Args[0], "-test.run", "^TestLitter$")
		c.Env = append(os.Environ(), "ATOMICFILE_TEST_DIR="+dir, "ATOMICFILE_TEST_DIE="+die)
		return c.Run()
	}
	foreign := []string{"card.md.tmp", "notes.barka1.tmp", "x.barka0123456789ABCDEF.tmp", "y.barka0123456789abcdef.tmp.txt",
		".barka0123456789abcdef.tmp"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := "link.barka0123456789abcdef.tmp"
	if err := os.Symlink("card.md.tmp", filepath.Join(dir, link)); err != nil {
		t.Log(err)
	} else {
		foreign = append(foreign, link)
	}
	slices.Sort(foreign)
	if err := child("yes"); err == nil {
		t.Fatal("the child did not die")
	}
	if left := names(t, dir); len(left) != len(foreign)+1 {
		t.Fatalf("a killed process left %v", left)
	}
	f, err := Create(filepath.Join(dir, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	if want := append(slices.Clone(foreign), filepath.Base(f.Name())); len(names(t, dir)) != len(want) {
		t.Errorf("there are %v, want %v", names(t, dir), want)
	}
	if err := child(""); err != nil { // sweeps while f is open
		t.Error(err)
	}
	if err := f.Commit(); err != nil {
		t.Error(err)
	}
	want := append(foreign, "card.md", "mine")
	slices.Sort(want)
	if left := names(t, dir); !slices.Equal(left, want) {
		t.Errorf("there are %v, want %v", left, want)
	}
}

// TestTarget: a temporary name contains its target, and no other name is recognised as
// temporary.
func TestTarget(t *testing.T) {
	for name, want := range map[string]string{
		filepath.Base(temporary("/x/model.safetensors")): "model.safetensors",
		"model.safetensors.tmp":                          "model.safetensors.tmp",
		"a.barka0123456789abcdef.tmp":                    "a",
		"a.barka0123456789abcde.tmp":                     "a.barka0123456789abcde.tmp",
	} {
		if got := Target(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestWriteNeedsTheDirectory(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "missing", "x"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that the directory is missing", err)
	}
}
