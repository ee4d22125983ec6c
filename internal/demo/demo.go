// Package demo holds what the demonstration needs, embedded: a recipe, articles about an invented
// country, questions about it, and tiny models. reference/demo has the scripts that made them.
package demo

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/filelock"
)

//go:embed all:data models prompts templates recipe.yaml
var files embed.FS

// Seed is the seed of the embedded recipe.
const Seed = 42

// Extract writes the files into a directory, the recipe with a seed, and returns
// the recipe's path. Files that are already there with the same content are left
// alone. Those with other content, which an earlier version or another seed wrote
// or the user changed, are bad input.
func Extract(dir string, seed int64) (string, error) { return extract(dir, seed, false) }

// Replace is Extract that replaces files with other content.
func Replace(dir string, seed int64) (string, error) { return extract(dir, seed, true) }

const recipeFile = "recipe.yaml"

func extract(dir string, seed int64, replace bool) (path string, err error) {
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
		if path == recipeFile {
			data = bytes.Replace(data, fmt.Appendf(nil, "\nseed: %d\n", Seed), fmt.Appendf(nil, "\nseed: %d\n", seed), 1)
		}
		out := filepath.Join(dir, filepath.FromSlash(path))
		old, err := os.ReadFile(out)
		switch {
		case err == nil && bytes.Equal(old, data):
			return nil
		case err == nil && !replace:
			return badinput.Errorf("%s is not that of this version and seed: give --restart to replace it, or choose another --out",
				out)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return badinput.Wrap(err)
		}
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return badinput.Wrap(err)
		}
		return atomicfile.WriteFile(out, data)
	})
	return filepath.Join(dir, recipeFile), err
}
