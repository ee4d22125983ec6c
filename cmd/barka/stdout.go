package main

import "io"

// checkedWriter is standard output. After a failed write it refuses all others, so
// that the output has no gap, and keeps the error for the exit code.
type checkedWriter struct {
	to  io.Writer
	err error
}

func (r *checkedWriter) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.to.Write(p)
	r.err = err
	return n, err
}
