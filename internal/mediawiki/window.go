package mediawiki

import (
	"bytes"
	"errors"
	"io"
)

// window is the piece of a text between what was read and what is still to come. Pages are
// scanned in it in place. It also serves encoding/xml byte by byte.
type window struct {
	r    io.Reader
	buf  []byte
	at   int   // in buf, of the next byte
	gone int64 // bytes before buf
	err  error // of r; the bytes in buf come before it
}

// windowBytes is the least free space that r is read into.
const windowBytes = 64 << 10

func newWindow(r io.Reader) *window { return &window{r: r} }

// offset is the number of bytes that were taken.
func (w *window) offset() int64 { return w.gone + int64(w.at) }

// rest returns the bytes that were read and not taken. They are valid until the next call
// of more.
func (w *window) rest() []byte { return w.buf[w.at:] }

// take marks the next n bytes of rest as read.
func (w *window) take(n int) { w.at += n }

// more reads on, so that rest becomes longer. It returns the error of the reader if there
// is nothing more.
func (w *window) more() error {
	if w.err != nil {
		return w.err
	}
	if w.at > 0 && (w.at == len(w.buf) || w.at >= len(w.buf)/2) {
		n := copy(w.buf, w.buf[w.at:])
		w.gone, w.buf, w.at = w.gone+int64(w.at), w.buf[:n], 0
	}
	if free := cap(w.buf) - len(w.buf); free < windowBytes {
		larger := make([]byte, len(w.buf), 2*cap(w.buf)+2*windowBytes)
		copy(larger, w.buf)
		w.buf = larger
	}
	for range 100 {
		n, err := w.r.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf, w.err = w.buf[:len(w.buf)+n], err
		switch {
		case n > 0:
			return nil
		case err != nil:
			return err
		}
	}
	w.err = io.ErrNoProgress
	return w.err
}

// at least n bytes are made available if the text has them.
func (w *window) atLeast(n int) error {
	for len(w.rest()) < n {
		if err := w.more(); err != nil {
			return err
		}
	}
	return nil
}

// skipSpace takes white space, at most most bytes of it.
func (w *window) skipSpace(most int) error {
	for {
		rest := w.rest()
		n := len(rest) - len(bytes.TrimLeft(rest, " \t\r\n"))
		w.take(n)
		if most -= n; most < 0 {
			return tooLong(maxMarkup)
		}
		if n < len(rest) {
			return nil
		}
		if err := w.more(); err != nil {
			return err
		}
	}
}

// ReadByte is for encoding/xml.
func (w *window) ReadByte() (byte, error) {
	if w.at == len(w.buf) {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	w.at++
	return w.buf[w.at-1], nil
}

// Peek returns the next byte.
func (w *window) peek() (b byte, ok bool) {
	if w.at == len(w.buf) && w.more() != nil {
		return 0, false
	}
	return w.buf[w.at], true
}

// Read is for the decoders of other encodings.
func (w *window) Read(p []byte) (int, error) {
	if w.at == len(w.buf) {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.at:])
	w.at += n
	return n, nil
}

// ended reports whether the reader's error is the end of the text.
func (w *window) ended() bool { return errors.Is(w.err, io.EOF) }
