package badinput

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Exists reports whether something exists at a path. It follows links. It returns an
// error that names the path if the answer is unknown, for example for lack of a
// permission. Callers must not treat that as "missing": they would go on without the
// file.
func Exists(path string) (bool, error) {
	_, err := os.Stat(path)
	return known(err)
}

// IsDir reports whether a directory exists at a path. Its error is that of Exists.
func IsDir(path string) (bool, error) {
	info, err := os.Stat(path)
	yes, err := known(err)
	return yes && info.IsDir(), err
}

// known turns the error of os.Stat into an answer. Nothing exists below a file, which
// is the meaning of ENOTDIR.
func known(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}
