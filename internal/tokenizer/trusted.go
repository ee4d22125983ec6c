package tokenizer

import "sort"

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
