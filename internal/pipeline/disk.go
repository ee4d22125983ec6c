package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// diskError says what the user can do about a failed write to path.
func diskError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("no space left to write %s: free some and give the same command again, finished work is kept: %w", path, err)
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR):
		return badinput.Errorf("cannot write %s: choose another --out: %w", path, err)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// writeFile writes a file so that after a crash it is there whole or not at all.
func writeFile(path string, data []byte) error {
	return diskError(path, atomicfile.WriteFile(path, data))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	return diskError(dir, atomicfile.SyncDir(dir))
}
