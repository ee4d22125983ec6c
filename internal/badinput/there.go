package badinput

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Exists reports whether a path leads to something; links are followed. The
// error, which names the path, is that this cannot be known, as for lack of a
// permission: who takes that for "not there" works without the file.
func Exists(path string) (bool, error) {
	_, err := os.Stat(path)
	return known(err)
}

// IsDir reports whether a path leads to a directory, as Exists.
func IsDir(path string) (bool, error) {
	info, err := os.Stat(path)
	yes, err := known(err)
	return yes && info.IsDir(), err
}

// known makes an answer of the error of os.Stat. Below a file nothing exists.
func known(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}
