package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"barka/internal/badinput"
)

// Explain says what the user can do about a failed write to path. A path that
// cannot be written to is bad input; a full disk is not. It returns nil for nil,
// and an error that is bad input already as it is.
func Explain(path string, err error) error {
	switch {
	case err == nil || badinput.Is(err):
		return err
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("no space left to write %s: free some and give the same command again, finished work is kept: %w", path, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR):
		return badinput.Errorf("cannot write %s: choose another --out: %w", path, err)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// SyncTree makes the names in a directory and in those below it durable.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return Explain(path, SyncDir(path))
	})
}
