package badinput

import (
	"io/fs"
	"os"
)

// Regular returns an Error if a path does not lead to a regular file. It follows links. For a
// missing file the error is fs.ErrNotExist.
func Regular(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return regular(path, info.Mode())
}

// regular returns an Error for all but regular files.
func regular(path string, mode fs.FileMode) error {
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
	return Errorf("%s is %s, expected a regular file; put a copy of the content there", path, what)
}

// Open is os.Open for regular files. Opening a named pipe would wait for a writer, possibly
// forever.
func Open(path string) (*os.File, error) {
	if err := Regular(path); Is(err) {
		return nil, err
	}
	return os.Open(path)
}
