package tokenizer

import (
	"sort"
	"unicode/utf8"
)

// Stretch is an added token, or the tokens of the text between two added tokens.
type Stretch struct {
	Start, End int // bytes of the text
	IDs        []int32
	Special    bool // a special token
}

// Stretches encodes like EncodeOptions, without the post-processor's tokens, and
// returns the byte ranges of the text.
func (t *Tokenizer) Stretches(text string, o EncodeOptions) []Stretch {
	e, _ := t.encoders.Get().(*encoder)
	if e == nil {
		e = &encoder{}
	}
	defer t.encoders.Put(e)
	var out []Stretch
	t.stretches(text, o, true, func(s stretch) {
		one := Stretch{Start: s.start, End: s.end}
		if s.id >= 0 {
			one.IDs, one.Special = []int32{s.id}, t.added.special[s.id]
		} else {
			one.IDs = t.encodeStretch(e, s, nil)
		}
		out = append(out, one)
	})
	return out
}

// forged returns the function with which matcher.split asks about special tokens.
// where maps a match to its bytes of the original text.
func (o EncodeOptions) forged(where func(start, end int) (int, int)) func(start, end int) (int, bool) {
	if !o.NoParseSpecial {
		return nil
	}
	return func(start, end int) (int, bool) {
		a, b := where(start, end)
		i := sort.Search(len(o.Trusted), func(i int) bool { return o.Trusted[i][1] > a })
		switch {
		case i == len(o.Trusted) || o.Trusted[i][0] >= b:
			return end, true // plain text still hides shorter tokens
		case o.Trusted[i][0] <= a && b <= o.Trusted[i][1]:
			return 0, false
		}
		return start + 1, true // partly trusted: a token may begin inside
	}
}

// place returns the bytes of raw that became the bytes [a, b) of its normalized text:
// the shortest stretch whose normalized text covers them.
func (t *Tokenizer) place(raw, normalized string, a, b int) (int, int) {
	switch {
	case raw == normalized:
		return a, b
	case a == 0 && b == len(normalized):
		return 0, len(raw)
	}
	var ends []int // ends of characters
	for i := 0; i < len(raw); {
		_, n := utf8.DecodeRuneInString(raw[i:])
		i += n
		ends = append(ends, i)
	}
	length := func(i int) int { return len(t.norm.normalize(raw[:ends[i]])) }
	first := sort.Search(len(ends), func(i int) bool { return length(i) > a })
	last := sort.Search(len(ends), func(i int) bool { return length(i) >= b })
	start, end := 0, len(raw)
	if first > 0 {
		start = ends[first-1]
	}
	if last < len(ends) {
		end = ends[last]
	}
	return min(start, end), end
}
