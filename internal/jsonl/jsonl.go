// Package jsonl reads and writes files of one JSON value per line, plain or
// compressed with gzip (.gz) or Zstandard (.zst).
package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/compressed"
	"barka/internal/lines"
)

// Has reports whether a file of that name is one that this package reads.
func Has(name string) bool {
	for _, ext := range []string{".jsonl", ".ndjson"} {
		if s := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"); strings.HasSuffix(s, ext) {
			return true
		}
	}
	return false
}

// maxBlank bounds the bytes of consecutive blank lines. A small compressed file
// may contain any number of them, and the caller's loop, where an interruption
// is noticed, sees none of them.
const maxBlank = 16 << 20

// Lines reads the lines of the file at path as package lines does. It skips
// blank lines and a byte order mark at the start of the file. The iteration ends
// at the first error, which names the file and the line.
func Lines(path string) iter.Seq2[lines.Line, error] {
	return func(yield func(lines.Line, error) bool) {
		f, err := badinput.Open(path)
		if err != nil {
			yield(lines.Line{}, badinput.Wrap(err))
			return
		}
		defer f.Close()
		r, err := compressed.NewReader(path, f)
		if err != nil {
			yield(lines.Line{}, badinput.Errorf("%s: %w", path, err))
			return
		}
		defer r.Close()
		blank := 0
		for line, err := range lines.Read(path, lines.SkipMark(r)) {
			if err == nil && len(bytes.TrimSpace(line.Data)) == 0 {
				if blank += len(line.Data) + 1; blank <= maxBlank {
					continue
				}
				err = line.Errorf("more than %d MiB of blank lines in a row; is this the right file?", maxBlank>>20)
			}
			blank = 0
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// Read reads the lines of the file at path as JSON values of type T. Fields that
// T does not have are ignored.
func Read[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range Lines(path) {
			var v T
			if err == nil {
				if err = Unmarshal(line.Data, &v); err != nil {
					err = line.Errorf("%w", err)
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
	enc        *json.Encoder
	compressor io.Closer // nil: none
	buf        *bufio.Writer
	f          *atomicfile.File
}

// Create begins the file at path, compressed as its name says. It is there, whole,
// when it is closed. The same values make the same bytes.
func Create(path string) (*Writer, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f, buf: bufio.NewWriter(f)}
	var out io.Writer = w.buf
	switch {
	case strings.HasSuffix(path, ".gz"):
		z := gzip.NewWriter(w.buf)
		w.compressor, out = z, z
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewWriter(w.buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(err, f.Discard())
		}
		w.compressor, out = z, z
	}
	w.enc = json.NewEncoder(out)
	w.enc.SetEscapeHTML(false)
	return w, nil
}

// Write appends a line.
func (w *Writer) Write(v any) error { return w.enc.Encode(v) }

// Close writes what is left and puts the file in its place. After an error the
// file that was there stays.
func (w *Writer) Close() error {
	var err error
	if w.compressor != nil {
		err = w.compressor.Close()
	}
	if err = errors.Join(err, w.buf.Flush()); err != nil {
		return errors.Join(err, w.f.Discard())
	}
	return w.f.Commit()
}

// Discard ends the writing instead of Close: the file that was there stays.
func (w *Writer) Discard() error { return w.f.Discard() }
