package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"barka/internal/badinput"
)

// Explain wraps the error of a failed write to path with advice for the user. A path
// that cannot be written to is bad input; a full disk is not. nil and errors that are
// bad input already are returned unchanged.
func Explain(path string, err error) error {
	switch {
	case err == nil || badinput.Is(err):
		return err
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("no space is left to write %s; free some and run the same command again, which keeps finished work: %w",
			path, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR):
		return badinput.Errorf("%s cannot be written; choose another --out: %w", path, err)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// SyncTree makes the names in a directory and in all directories below it durable.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return Explain(path, SyncDir(path))
	})
}
