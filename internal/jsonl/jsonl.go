// Package jsonl reads and writes files of one JSON value a line, plain or
// compressed with gzip (.gz) or Zstandard (.zst).
package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
)

// MaxLine is the length in bytes of the longest line that is read.
const MaxLine = 64 << 20

// maxWindow bounds what a Zstandard stream may ask to keep in memory.
const maxWindow = 128 << 20

// Line is a line of a file that is not blank, without its end.
type Line struct {
	Number int    // from 1
	Data   []byte // valid until the next line is read
}

// Has reports whether the name is that of a file this package reads.
func Has(name string) bool {
	for _, ext := range []string{".jsonl", ".ndjson"} {
		if s := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"); strings.HasSuffix(s, ext) {
			return true
		}
	}
	return false
}

// Lines reads the file at path. A byte order mark, carriage returns at line
// ends, and blank lines are left out; a last line needs no end. The iteration
// ends at the first error, which names the file and the line.
func Lines(path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Line{}, badinput.Wrap(err))
			return
		}
		defer f.Close()
		r, err := decompressed(f, path)
		if err != nil {
			yield(Line{}, badinput.Errorf("%s: %w", path, err))
			return
		}
		defer r.Close()
		for line, err := range lines(r) {
			if err != nil {
				yield(line, badinput.Errorf("%s: line %d: %w", path, line.Number, err))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

func decompressed(f io.Reader, path string) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return gzip.NewReader(f)
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(f), nil
}

var errLong = errors.New("longer than 64 MiB")

func lines(from io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		r := bufio.NewReaderSize(from, 1<<16)
		if head, _ := r.Peek(3); bytes.Equal(head, []byte("\xef\xbb\xbf")) {
			r.Discard(3)
		}
		var long []byte
		for number := 1; ; number++ {
			long = long[:0]
			data, err := r.ReadSlice('\n')
			for err == bufio.ErrBufferFull {
				if long = append(long, data...); len(long) > MaxLine {
					yield(Line{Number: number}, errLong)
					return
				}
				data, err = r.ReadSlice('\n')
			}
			if err != nil && err != io.EOF {
				yield(Line{Number: number}, err)
				return
			}
			if len(long) > 0 {
				long = append(long, data...)
				data = long
			}
			if data = bytes.TrimRight(data, "\r\n"); len(data) > MaxLine {
				yield(Line{Number: number}, errLong)
				return
			}
			if len(bytes.TrimSpace(data)) > 0 && !yield(Line{number, data}, nil) {
				return
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// Read reads the lines of the file at path as JSON values of type T.
func Read[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range Lines(path) {
			var v T
			if err == nil {
				if err = json.Unmarshal(line.Data, &v); err != nil {
					err = badinput.Errorf("%s: line %d: %w", path, line.Number, err)
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Writer writes values as lines.
type Writer struct {
	enc     *json.Encoder
	f       *os.File
	closers []io.Closer // innermost last
	buf     *bufio.Writer
}

// Create makes the file at path, compressed as its name says. The same values
// make the same bytes.
func Create(path string) (*Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f, closers: []io.Closer{f}, buf: bufio.NewWriter(f)}
	var out io.Writer = w.buf
	switch {
	case strings.HasSuffix(path, ".gz"):
		z := gzip.NewWriter(w.buf)
		w.closers, out = append(w.closers, z), z
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewWriter(w.buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			f.Close()
			return nil, err
		}
		w.closers, out = append(w.closers, z), z
	}
	w.enc = json.NewEncoder(out)
	w.enc.SetEscapeHTML(false)
	return w, nil
}

// Write appends a line.
func (w *Writer) Write(v any) error { return w.enc.Encode(v) }

// Close finishes and closes the file.
func (w *Writer) Close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		if i == 0 {
			errs = append(errs, w.buf.Flush(), w.f.Sync())
		}
		errs = append(errs, w.closers[i].Close())
	}
	return errors.Join(errs...)
}
