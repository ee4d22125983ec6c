// Package jsonstream reads a long JSON text piece by piece, in memory that is
// bounded by the longest piece.
package jsonstream

import (
	"encoding/json"
	"fmt"
	"io"
)

// Decoder is a json.Decoder that gives up on a piece, such as a row of a list,
// that is too long.
type Decoder struct {
	*json.Decoder
	in *meter
}

// NewDecoder returns a decoder of r.
func NewDecoder(r io.Reader) *Decoder {
	in := &meter{r: r}
	return &Decoder{json.NewDecoder(in), in}
}

// Piece begins a piece: what is read until the next call may take at most most
// bytes, give or take what the decoder reads ahead.
func (d *Decoder) Piece(most int) { d.in.most, d.in.left = most, most }

// meter is a reader that gives up after a number of bytes.
type meter struct {
	r          io.Reader
	most, left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("a piece of JSON is longer than %d KiB, the most that is read", m.most>>10)
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
