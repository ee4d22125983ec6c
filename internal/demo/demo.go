// Package demo holds what the demonstration needs, embedded: a recipe, pages
// of our own writing, benchmark questions of our own, and tiny models.
package demo

import (
	"bytes"
	"embed"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

//go:embed all:data models recipe.yaml
var files embed.FS

// Extract writes the files into a directory and returns the recipe's path.
// Files that are already there with the same content are left alone.
func Extract(dir string) (string, error) {
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		out := filepath.Join(dir, filepath.FromSlash(path))
		if old, err := os.ReadFile(out); err == nil && bytes.Equal(old, data) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return badinput.Wrap(err)
		}
		return atomicfile.WriteFile(out, data)
	})
	return filepath.Join(dir, "recipe.yaml"), err
}
