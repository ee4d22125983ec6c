package badinput

import (
	"io/fs"
	"os"
)

// Regular returns an Error if a path does not lead to a regular file. It follows links. For
// a missing file it returns the error of package os.
func Regular(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return regular(path, info.Mode())
}

// regular returns an Error unless a mode is that of a regular file.
func regular(path string, mode fs.FileMode) error {
	what := "a special file"
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
	return Errorf("%s is %s, expected a regular file; put its content into a regular file there", path, what)
}

// Open is os.Open for regular files. For others it returns an Error: opening a named pipe
// could wait forever for a writer.
func Open(path string) (*os.File, error) {
	if err := Regular(path); Is(err) {
		return nil, err
	}
	return os.Open(path)
}
