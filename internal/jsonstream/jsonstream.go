// Package jsonstream reads a long JSON text piece by piece, in memory bounded by
// the longest piece that is allowed.
package jsonstream

import (
	"encoding/json"
	"io"

	"barka/internal/badinput"
)

// Decoder is a json.Decoder that refuses a piece, such as a row of a list, that is
// too long.
type Decoder struct {
	*json.Decoder
	in *badinput.Meter
}

// NewDecoder returns a decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	in := badinput.NewMeter(r, "a piece of JSON")
	return &Decoder{json.NewDecoder(in), in}
}

// Piece starts a piece: until the next call, at most limit bytes are read, give or
// take what the decoder buffers.
func (d *Decoder) Piece(limit int) { d.in.Piece(limit) }
