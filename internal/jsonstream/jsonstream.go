// Package jsonstream reads a long JSON text piece by piece, in memory bounded by
// the longest piece that is allowed.
package jsonstream

import (
	"encoding/json"
	"fmt"
	"io"
)

// Decoder is a json.Decoder that refuses a piece, such as a row of a list, that is
// too long.
type Decoder struct {
	*json.Decoder
	in *meter
}

// NewDecoder returns a decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	in := &meter{r: r}
	return &Decoder{json.NewDecoder(in), in}
}

// Piece starts a piece: until the next call, at most limit bytes are read, give or
// take what the decoder buffers.
func (d *Decoder) Piece(limit int) { d.in.limit, d.in.left = limit, limit }

// meter is a reader that fails after a number of bytes.
type meter struct {
	r           io.Reader
	limit, left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("a piece of JSON is longer than %d KiB, the limit", m.limit>>10)
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
