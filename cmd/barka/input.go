package main

import (
	"bufio"
	"fmt"
	"io"

	"barka/internal/badinput"
)

// text returns an argument, or standard input for "-".
func (a *app) text(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	data, err := io.ReadAll(a.stdin)
	return string(data), err
}

// maxLine bounds a line of standard input.
const maxLine = 64 << 20

// lines calls f for each line of standard input, numbered from 1.
func (a *app) lines(f func(n int, line string) error) error {
	s := bufio.NewScanner(a.stdin)
	s.Buffer(make([]byte, 1<<16), maxLine)
	n := 0
	for s.Scan() {
		n++
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := f(n, s.Text()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return badinput.Wrap(fmt.Errorf("standard input, line %d: %w", n+1, err))
	}
	return nil
}
