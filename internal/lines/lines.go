// Package lines reads UTF-8 text line by line. It is used for requests, prompts
// and rows of JSON lines.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"barka/internal/badinput"
)

// Max is the length in bytes of the longest line that is read.
const Max = 64 << 20

// Stdin is the name of standard input.
const Stdin = "standard input"

// Line is a line of text without its line break.
type Line struct {
	Name   string // of the input: a file, or Stdin
	Number int    // from 1
	Data   []byte // UTF-8; valid until the next line is read
}

// Where names the line in messages.
func (l Line) Where() string {
	if l.Name == Stdin {
		return fmt.Sprintf("%s, line %d", l.Name, l.Number)
	}
	return fmt.Sprintf("%s: line %d", l.Name, l.Number)
}

// Errorf returns a badinput error that names the line.
func (l Line) Errorf(format string, args ...any) error {
	return badinput.Errorf("%s: %w", l.Where(), fmt.Errorf(format, args...))
}

// Read reads the lines of r; name identifies the input in messages. A line ends
// with \n or \r\n, and the last line may end without either. Everything else is
// content, including a lone \r and a byte order mark. The iteration ends at the
// first error: a line that is not UTF-8 or is longer than Max, or an error of r.
// The error names the line.
func Read(name string, r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s := scanner{r: bufio.NewReaderSize(r, 1<<16)}
		for n := 1; ; n++ {
			line := Line{Name: name, Number: n}
			data, err := s.next()
			if err == io.EOF {
				return
			}
			if err == nil {
				line.Data = data
				if err = UTF8(data); err != nil {
					err = fmt.Errorf("%w of the line; convert the text to UTF-8", err)
				}
			}
			if err != nil {
				yield(line, line.Errorf("%w", err))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

type scanner struct {
	r    *bufio.Reader
	long []byte // a line that does not fit r's buffer
}

var errLong = errors.New("longer than 64 MiB, the limit for a line")

// next returns a line without its line break, or io.EOF after the last one.
func (s *scanner) next() ([]byte, error) {
	s.long = s.long[:0]
	data, err := s.r.ReadSlice('\n')
	for err == bufio.ErrBufferFull {
		if s.long = append(s.long, data...); len(s.long) > Max+2 {
			return nil, errLong
		}
		data, err = s.r.ReadSlice('\n')
	}
	if len(s.long) > 0 {
		s.long = append(s.long, data...)
		data = s.long
	}
	if err != nil && (err != io.EOF || len(data) == 0) {
		return nil, err
	}
	if line, ended := bytes.CutSuffix(data, []byte{'\n'}); ended {
		data = bytes.TrimSuffix(line, []byte{'\r'})
	}
	if len(data) > Max {
		return nil, errLong
	}
	return data, nil
}

// UTF8 returns an error that names the first byte of data that is not UTF-8.
func UTF8(data []byte) error {
	if utf8.Valid(data) {
		return nil
	}
	at := 0
	for {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n <= 1 {
			return fmt.Errorf("not UTF-8: byte 0x%02x at offset %d", data[at], at)
		}
		at += n
	}
}

// Check returns a badinput error, with the line and the byte, if the text of that
// name is not UTF-8.
func Check(name string, text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	for _, err := range Read(name, bytes.NewReader(text)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// SkipMark returns a reader of r without a byte order mark at its start.
func SkipMark(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(3); string(head) == "\ufeff" {
		b.Discard(3)
	}
	return b
}
