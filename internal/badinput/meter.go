package badinput

import (
	"fmt"
	"io"
)

// Meter is a reader of pieces, such as records, that are bounded: a parser that
// keeps a piece in memory gets no more than that of an endless one.
type Meter struct {
	from        io.Reader
	what        string
	limit, left int
}

// NewMeter returns a reader of from; what names a piece in the error.
func NewMeter(from io.Reader, what string) *Meter { return &Meter{from: from, what: what} }

// Piece starts a piece: until the next call, at most limit bytes are read, those
// that the parser reads ahead included.
func (m *Meter) Piece(limit int) { m.limit, m.left = limit, limit }

// Read implements io.Reader.
func (m *Meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("%s is longer than %d KiB, the limit", m.what, m.limit>>10)
	}
	n, err := m.from.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
