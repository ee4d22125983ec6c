package badinput

import (
	"fmt"
	"io"
)

// Meter is a reader that bounds the pieces of its input, such as records. It protects
// a parser that keeps a piece in memory from an endless one.
type Meter struct {
	from        io.Reader
	what        string
	limit, left int
}

// NewMeter returns a Meter of from. what names a piece in errors.
func NewMeter(from io.Reader, what string) *Meter { return &Meter{from: from, what: what} }

// Piece starts a piece. Until the next call at most limit bytes are read, including
// those that the parser reads ahead.
func (m *Meter) Piece(limit int) { m.limit, m.left = limit, limit }

// Read implements io.Reader. It returns an error when the piece exceeds its limit.
func (m *Meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("%s is longer than %d KiB, the limit", m.what, m.limit>>10)
	}
	n, err := m.from.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
