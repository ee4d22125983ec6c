package gguf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/mapped"
)

// Is reports whether a model's name is that of a GGUF file.
func Is(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && strings.EqualFold(filepath.Ext(name), ".gguf")
}

// Directory returns a model directory in Hugging Face layout for a file: its
// settings and tokenizer as config.json and so on, and a link to the file for
// the weights. It is made below cache once for each state of the file.
func Directory(path, cache string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", badinput.Wrap(err)
	}
	state := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d\n1", path, info.Size(), info.ModTime().UnixNano()))
	// The last part is the model's name in tables and files.
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	dir := filepath.Join(cache, hex.EncodeToString(state[:12]), name)
	if _, err := os.Stat(filepath.Join(dir, Name)); err == nil {
		return dir, nil
	}
	files, err := read(path)
	if err != nil {
		return "", badinput.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, data := range files {
		if err := atomicfile.WriteFile(filepath.Join(dir, name), data); err != nil {
			return "", err
		}
	}
	// The link comes last: with it the directory is whole.
	if err := os.Symlink(path, filepath.Join(dir, Name)); err != nil && !os.IsExist(err) {
		return "", err
	}
	return dir, nil
}

// read makes the files of a directory.
func read(path string) (map[string][]byte, error) {
	m, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var files map[string][]byte
	err = mapped.Guard(func() error {
		c, err := parse(m.Bytes)
		if err != nil {
			return err
		}
		if files, err = c.tokenizer(); err != nil {
			return err
		}
		if files["config.json"], err = c.config(m.Bytes); err != nil {
			return err
		}
		files["generation_config.json"], err = c.generation()
		return err
	})
	return files, err
}
