package tokenizer

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// Span is the stretch of a text that a token stands for.
type Span struct{ Start, End int } // bytes

// EncodeSpans encodes like EncodeOptions and returns the span of each token in text.
//
// Spans follow the text from left to right. A space that a tokenizer counts to the word
// after it is part of that word's token. Tokens that share the bytes of one character each
// have their own bytes, unless normalization changed the character; then each has all of it.
// Tokens that stand for nothing in the text, such as BOS, have an empty span. Spans are
// approximate for SentencePiece models that mark the end of words and not their start.
func (t *Tokenizer) EncodeSpans(text string, o EncodeOptions) (ids []int32, spans []Span) {
	e, _ := t.encoders.Get().(*encoder)
	if e == nil {
		e = &encoder{}
	}
	defer t.encoders.Put(e)
	around := func(special []int32, at int) {
		for _, id := range special {
			ids, spans = append(ids, id), append(spans, Span{at, at})
		}
	}
	if o.AddSpecial && t.post != nil {
		around(t.post.before, 0)
	}
	t.stretches(text, o, true, func(s stretch) {
		if s.id >= 0 {
			ids, spans = append(ids, s.id), append(spans, Span{s.start, s.end})
			return
		}
		first := len(ids)
		ids = t.encodeStretch(e, s, ids)
		for _, in := range t.inside(s.text, ids[first:]) {
			start, end := s.where(in.Start, in.End)
			if in.Start == in.End || s.text[in.Start:in.End] == spaceMark && strings.TrimSpace(text[start:end]) != "" {
				end = start // a mark that was put before the text
			}
			spans = append(spans, Span{start, end})
		}
	})
	if o.AddSpecial && t.post != nil {
		around(t.post.after, len(text))
	}
	return ids, spans
}

// inside returns the spans of the tokens of a normalized text without added tokens. An
// unknown token reaches to where the text of the next one begins; of several, all but the
// last have one character.
func (t *Tokenizer) inside(text string, ids []int32) []Span {
	spans := make([]Span, len(ids))
	at := 0
	for i, id := range ids {
		n, ok := t.covers(text[at:], id)
		if !ok {
			n = t.unknown(text[at:], ids[i+1:])
		}
		spans[i] = Span{at, at + n}
		at += n
	}
	return spans
}

// covers returns the number of bytes at the start of text that a token stands for. A space
// that was put before the text is not in it.
func (t *Tokenizer) covers(text string, id int32) (int, bool) {
	for _, spelled := range t.spellings(id) {
		if strings.HasPrefix(text, spelled) {
			return len(spelled), true
		}
	}
	return 0, false
}

// unknown returns the number of bytes at the start of text that an unknown token stands
// for, if the tokens of next follow.
func (t *Tokenizer) unknown(text string, next []int32) int {
	_, first := utf8.DecodeRuneInString(text)
	if len(next) == 0 || text == "" {
		return len(text)
	}
	found := -1
	for _, spelled := range t.spellings(next[0]) {
		if at := strings.Index(text[first:], spelled); at >= 0 && spelled != "" && (found < 0 || first+at < found) {
			found = first + at
		}
	}
	if found < 0 { // the next one is unknown, too
		return first
	}
	return found
}

// spellings returns what a token may be in a normalized text, the longest first.
func (t *Tokenizer) spellings(id int32) []string {
	token, ok := t.model.token(id)
	if !ok {
		return nil
	}
	if t.byteLevel() {
		s := string(textBytes(nil, token))
		return []string{s, strings.TrimPrefix(s, " ")}
	}
	if m, ok := t.model.(*bpe); ok {
		token = strings.TrimSuffix(strings.TrimPrefix(token, m.prefix), m.suffix)
	}
	if c, ok := byteToken(token); ok {
		return []string{string([]byte{c}), token}
	}
	spaced := strings.ReplaceAll(token, spaceMark, " ")
	return []string{token, spaced, strings.TrimPrefix(token, spaceMark), strings.TrimPrefix(spaced, " ")}
}

// byteLevel reports whether tokens are spelled in the byte-level alphabet.
func (t *Tokenizer) byteLevel() bool {
	return slices.ContainsFunc(t.pre, func(p preTokenizer) bool { _, ok := p.(byteLevel); return ok })
}

// placeBytes is place for a range whose ends may lie within characters. Where raw and
// normalized text have the same character, its bytes are told apart.
func (a *alignment) placeBytes(from, to int) (start, end int) {
	start, end = a.place(from, to)
	if a.raw == a.normalized || from == to {
		return start, end
	}
	inside := func(i int) bool { return i > 0 && i < len(a.normalized) && !utf8.RuneStart(a.normalized[i]) }
	before, after := from, to
	for inside(before) {
		before--
	}
	for inside(after) {
		after++
	}
	raw, normalized := []byte(a.raw), []byte(a.normalized)
	if n := from - before; bytes.HasPrefix(raw[start:end], normalized[before:from]) {
		start += n
	}
	if n := after - to; bytes.HasSuffix(raw[start:end], normalized[to:after]) {
		end -= n
	}
	return start, end
}
