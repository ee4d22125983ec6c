// Package demo holds what the demonstration needs, embedded: a recipe, pages
// of our own writing, benchmark questions of our own, and tiny models.
package demo

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/filelock"
)

//go:embed all:data models prompts recipe.yaml
var files embed.FS

// Extract writes the files into a directory and returns the recipe's path.
// Files that are already there with the same content are left alone. Those
// with other content, which an earlier version wrote or the user changed, are
// bad input.
func Extract(dir string) (string, error) { return extract(dir, false) }

// Replace is Extract that replaces files with other content.
func Replace(dir string) (string, error) { return extract(dir, true) }

func extract(dir string, replace bool) (path string, err error) {
	lock, err := filelock.Hold(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Discard()) }()
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		out := filepath.Join(dir, filepath.FromSlash(path))
		old, err := os.ReadFile(out)
		switch {
		case err == nil && bytes.Equal(old, data):
			return nil
		case err == nil && !replace:
			return badinput.Errorf("%s is not the file of this version of barka: give --restart to replace it, or choose another --out",
				out)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return badinput.Wrap(err)
		}
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return badinput.Wrap(err)
		}
		return atomicfile.WriteFile(out, data)
	})
	return filepath.Join(dir, "recipe.yaml"), err
}
