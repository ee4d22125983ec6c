// Package regular opens files that are neither directories, named pipes nor
// devices. Opening a named pipe waits for who writes to it, maybe for ever.
package regular

import (
	"io/fs"
	"os"

	"barka/internal/badinput"
)

// Check returns an error if a path does not lead to a regular file; links are
// followed. The error of a path that leads nowhere is fs.ErrNotExist.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return check(path, info.Mode())
}

// check returns an error for all but regular files.
func check(path string, mode fs.FileMode) error {
	what := "a file that is not regular"
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	}
	return badinput.Errorf("%s is %s, expected a regular file; put a copy of the content there", path, what)
}

// Open opens a regular file for reading.
func Open(path string) (*os.File, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// ReadFile is os.ReadFile of a regular file.
func ReadFile(path string) ([]byte, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
