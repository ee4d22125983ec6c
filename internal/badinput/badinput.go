// Package badinput marks errors whose cause is the user's input: a file, a model, a
// dataset or a recipe. The command line prints them without a stack and exits with
// code 3.
package badinput

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Error is an error caused by input. Its text names the file, line, tensor or field,
// what was expected, what was found, and what to do.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Errorf returns an Error with the text that fmt.Errorf would give it.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// Wrap marks err as caused by input. It returns nil for nil.
func Wrap(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Is reports whether err, or an error that it wraps, is an Error.
func Is(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// MaxSettings bounds the size of files of settings, in bytes: config.json,
// adapter_config.json, recipes, manifests and results. Those of models have a few
// kilobytes; the results of a long evaluation have a megabyte.
const MaxSettings = 16 << 20

// ReadFile reads a regular file of at most most bytes. For a larger or endless one it
// returns an Error before the content takes memory. Other errors are those of package
// os.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var size int64
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	if size > most {
		return nil, Errorf("%s has %d bytes, expected at most %d in a file of this kind", path, size, most)
	}
	data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > most {
		return nil, Errorf("%s has more than %d bytes, the limit for a file of this kind", path, most)
	}
	return data.Bytes(), nil
}
