package jinja

import "fmt"

// Error is a template that cannot be parsed or fails when it runs.
type Error struct {
	Line    int // from 1; 0 where it is not known
	Message string
	// Raised reports that the template itself refused, by raise_exception.
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

// fail abandons parsing or running. As in package text/template, errors are
// panics inside the package and become values where it is entered: every
// expression can fail, and none goes on after it.
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
