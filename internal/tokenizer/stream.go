package tokenizer

// Stream decodes tokens as they come.
type Stream struct {
	t    *Tokenizer
	skip bool
	dec  decoder
	in   sink // the first node of the decoder
	out  output
}

// Stream returns a decoder for tokens that come one by one. With skipSpecial it skips
// special tokens.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skip: skipSpecial, dec: t.dec}
	if skipSpecial && t.decNoSpecial != nil {
		s.dec = t.decNoSpecial
	}
	s.in = s.dec.start(&s.out)
	return s
}

// Push adds a token and returns the text that is now final, in whole characters. The
// concatenated results of all calls and of Flush equal Decode of all tokens. Push
// holds back only text that later tokens can change:
//
//   - the bytes of an incomplete character;
//   - a run of <0xAB> tokens, which tokenizer.json decodes as a whole;
//   - spaces that Strip may remove, the start of a string that Replace may match, and
//     a whole token if Replace has a regular expression;
//   - all text, if ByteLevel follows Fuse and the vocabulary has a token with
//     characters outside the byte-level alphabet, because such a token turns
//     everything before it into plain text.
func (s *Stream) Push(id int32) string {
	s.push(id)
	return s.take()
}

// Flush ends the text and returns the text that was held back. The stream can then be
// used for another text.
func (s *Stream) Flush() string {
	s.in.close()
	s.in = s.dec.start(&s.out)
	return s.take()
}

func (s *Stream) push(id int32) {
	text, ok := s.t.Token(id)
	if !ok || s.skip && s.t.IsSpecial(id) {
		return
	}
	s.in.text(text)
	s.in.end()
}

func (s *Stream) take() string {
	text := string(s.out.b)
	s.out.b = s.out.b[:0]
	return text
}
