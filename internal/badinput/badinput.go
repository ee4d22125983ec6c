// Package badinput marks errors whose cause is something the user handed in:
// a file, a model, a dataset, a recipe. The command line answers them with
// exit code 3 and prints them plainly, without a stack.
package badinput

import (
	"errors"
	"fmt"
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
