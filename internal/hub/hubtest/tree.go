package hubtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// AddDir adds the repositories below a directory: models/ORG/NAME/… and
// datasets/ORG/NAME/…, each as main, or as refs/convert/parquet if NAME ends in
// @convert.
func (s *Server) AddDir(root string) error {
	dirs, err := filepath.Glob(filepath.Join(root, "*", "*", "*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		kind, id, _ := strings.Cut(filepath.ToSlash(rel), "/")
		revision := "main"
		if plain, ok := strings.CutSuffix(id, "@convert"); ok {
			id, revision = plain, "refs/convert/parquet"
		}
		files, err := ReadDir(dir)
		if err != nil {
			return err
		}
		s.Add(kind, id, revision, files)
	}
	return nil
}

// ReadDir returns the contents of the files below a directory, by their paths with
// slashes.
func ReadDir(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return err
	})
	return files, err
}
