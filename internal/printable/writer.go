package printable

import (
	"io"
	"unicode/utf8"
)

// Writer writes text to a terminal, made safe by Text. The bytes of a character
// may arrive in several writes.
type Writer struct {
	w    io.Writer
	part []byte // the first bytes of an incomplete character
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.part, p...)
	whole := len(text)
	for i := max(0, whole-utf8.UTFMax+1); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
			break
		}
	}
	w.part = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.w, Text(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the bytes of an incomplete character, if there are any.
func (w *Writer) Flush() error {
	_, err := io.WriteString(w.w, Text(string(w.part)))
	w.part = nil
	return err
}
