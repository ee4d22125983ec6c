package tokenizer

import "unicode/utf8"

// Stream decodes tokens as they come.
type Stream struct {
	t       *Tokenizer
	skip    bool
	byteRun bool    // the decoder joins runs of <0xAB> tokens
	level   bool    // the decoder is byte-level
	bytes   []byte  // byte-level: the beginning of a character
	ids     []int32 // other decoders: the tokens since the last trim
	emitted int     // bytes of Decode(ids) already out
}

// Stream returns a decoder of tokens that come one by one.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skip: skipSpecial, byteRun: joinsBytes(t.dec)}
	_, s.level = t.dec.(byteLevelDecoder)
	return s
}

// joinsBytes reports whether a decoder has a byte fallback.
func joinsBytes(d decoder) bool {
	switch d := d.(type) {
	case byteFallbackDecoder, *spmDecoder:
		return true
	case decoders:
		for _, c := range d {
			if joinsBytes(c) {
				return true
			}
		}
	}
	return false
}

// Push takes a token and returns the text that is now final: never part of a
// character. All texts together, with Flush's, equal Decode of all tokens. A
// run of byte tokens comes out with the token after it, because Decode
// judges such runs as a whole.
func (s *Stream) Push(id int32) string {
	text, ok := s.t.Token(id)
	if !ok || s.skip && s.t.IsSpecial(id) {
		return ""
	}
	if s.level {
		s.bytes = textBytes(s.bytes, text)
		n := len(s.bytes) - unfinished(s.bytes)
		out := lossy(s.bytes[:n])
		s.bytes = append(s.bytes[:0], s.bytes[n:]...)
		return out
	}
	s.ids = append(s.ids, id)
	if _, isByte := byteToken(text); isByte && s.byteRun {
		return ""
	}
	all := s.t.Decode(s.ids, false)
	out := all[min(s.emitted, len(all)):]
	s.emitted = len(all)
	if len(s.ids) > 8 {
		s.trim()
	}
	return out
}

// trim forgets all but the last token, so that a long stream stays cheap. The
// last token stays because first tokens are decoded differently.
func (s *Stream) trim() {
	last := s.ids[len(s.ids)-1]
	alone := s.t.Decode([]int32{last}, false)
	if alone == "" {
		return
	}
	s.ids = append(s.ids[:0], last)
	s.emitted = len(alone)
}

// Flush returns what is left: byte tokens at the end, or the replacement of a
// character never finished. The stream is then as new.
func (s *Stream) Flush() string {
	all := s.t.Decode(s.ids, false)
	out := lossy(s.bytes) + all[min(s.emitted, len(all)):]
	s.ids, s.emitted, s.bytes = nil, 0, nil
	return out
}

// unfinished is the length of the beginning of a character at the end of b.
func unfinished(b []byte) int {
	for n := 1; n <= min(3, len(b)); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
