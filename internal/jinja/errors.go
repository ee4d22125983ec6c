package jinja

import "fmt"

// Error is the error of a template that cannot be parsed or fails when it runs.
type Error struct {
	Line    int // from 1; 0 if unknown
	Message string
	// Raised means that the template itself refused by calling raise_exception.
	Raised bool
}

// Error implements error.
func (e *Error) Error() string {
	if e.Raised {
		return e.Message
	}
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// fail aborts parsing or running. As in package text/template, errors are panics
// inside the package and become values at its exported functions, because every
// expression can fail and none continues after a failure.
func fail(line int, format string, args ...any) {
	panic(&Error{Line: line, Message: fmt.Sprintf(format, args...)})
}

// caught turns a panic of fail into an error.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}
