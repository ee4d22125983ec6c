// Package testfiles has what the tests of several packages do with files: they
// find reference data, unpack archives, and compare directories.
package testfiles

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Root returns the directory of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no directory above the tests has a go.mod")
	return ""
}

// FindShared returns the path of reference data that is not distributed with the
// repository, and whether it exists. The data are in the directory data of
// BARKA_SHARED, or of a directory named shared beside the repository.
func FindShared(t testing.TB, name ...string) (string, bool) {
	t.Helper()
	shared := os.Getenv("BARKA_SHARED")
	if shared == "" {
		shared = filepath.Join(filepath.Dir(Root(t)), "shared")
	}
	path := filepath.Join(shared, "data", filepath.Join(name...))
	_, err := os.Stat(path)
	return path, err == nil
}

// Shared is FindShared that skips the test if the data are missing.
func Shared(t testing.TB, name ...string) string {
	t.Helper()
	path, ok := FindShared(t, name...)
	if !ok {
		t.Skipf("no %s: reference data that is not distributed; BARKA_SHARED names its directory", path)
	}
	return path
}

// Read returns a file's content, decompressed if the name ends in .gz.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return data
}

// Lines returns the lines of a file, decompressed if the name ends in .gz.
func Lines(t testing.TB, path string) [][]byte {
	t.Helper()
	return bytes.Split(bytes.TrimSuffix(Read(t, path), []byte("\n")), []byte("\n"))
}

// JSONLines writes rows as JSON lines into a new file and returns its path.
func JSONLines[T any](t testing.TB, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Unzip unpacks an archive into a new directory.
func Unzip(t testing.TB, path string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Tree returns the content of all files below a directory, by their paths below it.
// It leaves out those for which without returns true.
func Tree(t testing.TB, dir string, without ...func(name string) bool) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		for _, leave := range without {
			if leave(name) {
				return nil
			}
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Same reports the files in which a directory differs from that of an undisturbed
// run.
func Same(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for name, data := range want {
		if g, ok := got[name]; !ok {
			t.Errorf("%s: %s is missing", what, name)
		} else if g != data {
			t.Errorf("%s: %s differs from that of an undisturbed run (%d and %d bytes)", what, name, len(g), len(data))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is extra", what, name)
		}
	}
}

// Chain copies the files of testdata/chain, a recipe of all stages with its data and its models,
// into a directory and returns the recipe's path.
func Chain(t testing.TB, dir string) string {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(Root(t), "testdata", "chain"))); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "recipe.yaml")
}
