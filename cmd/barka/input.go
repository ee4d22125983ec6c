package main

import (
	"io"
	"iter"

	"barka/internal/lines"
)

// text returns an argument, or all of standard input for "-".
func (a *app) text(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	return a.whole()
}

// whole returns standard input as one text.
func (a *app) whole() (string, error) {
	data, err := io.ReadAll(a.stdin)
	if err != nil {
		return "", err
	}
	return string(data), lines.Check(lines.Stdin, data)
}

// stdinLines reads the lines of standard input, without a byte order mark.
func (a *app) stdinLines() iter.Seq2[lines.Line, error] {
	return lines.Read(lines.Stdin, lines.SkipMark(a.stdin))
}

// each calls f for every line, until the first error or an interruption.
func (a *app) each(in iter.Seq2[lines.Line, error], f func(line lines.Line) error) error {
	for line, err := range in {
		if err == nil {
			err = a.ctx.Err()
		}
		if err == nil {
			err = f(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
