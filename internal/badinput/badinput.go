// Package badinput marks errors whose cause is something the user handed in:
// a file, a model, a dataset, a recipe. The command line answers them with
// exit code 3 and prints them plainly, without a stack.
package badinput

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Error is an error caused by input from outside. Its text names the file,
// line, tensor or field, what was expected, what was found, and what to do.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Errorf builds an Error the way fmt.Errorf builds an error.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// Wrap marks err as caused by input; nil stays nil.
func Wrap(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Is reports whether err, or anything it wraps, is bad input.
func Is(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// MaxSettings is the size in bytes up to which files of settings are read:
// config.json, adapter_config.json, recipes, manifests, results. Those of
// models have some kilobytes; the results of a long evaluation have a megabyte.
const MaxSettings = 16 << 20

// ReadFile reads a regular file of at most most bytes. A larger one, or one without an
// end, is an Error that is returned before its content takes memory. Other
// errors are those of package os.
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
		return nil, Errorf("%s: has %d bytes; a file of this kind is read up to %d bytes", path, size, most)
	}
	data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(f, most+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > most {
		return nil, Errorf("%s: has more than %d bytes, up to which a file of this kind is read", path, most)
	}
	return data.Bytes(), nil
}
