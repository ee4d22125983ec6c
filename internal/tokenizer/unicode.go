package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form returns the normalizer of a Unicode normalization form. The library
// limits runs of combining marks (Unicode's stream-safe text format), which
// the reference does not; texts with longer runs go the long way.
func form(f norm.Form) normalizer {
	plain := func(s string) string {
		if !longRun(s) {
			return f.String(s)
		}
		return normalizeLong(s, f)
	}
	if f == norm.NFC || f == norm.NFD {
		return normalizerFunc(plain)
	}
	return normalizerFunc(func(s string) string {
		var out strings.Builder
		done := 0
		for i, r := range s {
			if r >= 0x32ff && unicode.Is(newer, r) {
				out.WriteString(plain(s[done:i]))
				out.WriteRune(r)
				done = i + utf8.RuneLen(r)
			}
		}
		if done == 0 {
			return plain(s)
		}
		out.WriteString(plain(s[done:]))
		return out.String()
	})
}

// newer are the characters with compatibility forms that are younger than the
// reference's tables, which leave them as they are.
var newer = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x32ff, Hi: 0x32ff, Stride: 1}, {Lo: 0xa7f2, Hi: 0xa7f4, Stride: 1}, {Lo: 0xab69, Hi: 0xab69, Stride: 1}},
	R32: []unicode.Range32{
		{Lo: 0x10781, Hi: 0x10785, Stride: 1}, {Lo: 0x10787, Hi: 0x107b0, Stride: 1}, {Lo: 0x107b2, Hi: 0x107ba, Stride: 1},
		{Lo: 0x1e030, Hi: 0x1e06d, Stride: 1}, {Lo: 0x1f16c, Hi: 0x1f16c, Stride: 1}, {Lo: 0x1fbf0, Hi: 0x1fbf9, Stride: 1},
	},
}

// maxRun is the library's limit of combining marks in a row, less what
// decomposing a character can add.
const maxRun = 24

func longRun(s string) bool {
	if len(s) < 2*maxRun {
		return false
	}
	n := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i, n = i+1, 0
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		if norm.NFD.PropertiesString(s[i:]).CCC() == 0 {
			n = 0
		} else if n++; n > maxRun {
			return true
		}
		i += size
	}
	return false
}

// normalizeLong is Unicode's algorithm to the letter (UAX #15): decompose,
// order marks by combining class, compose.
func normalizeLong(s string, f norm.Form) string {
	single := norm.NFD
	if f == norm.NFKC || f == norm.NFKD {
		single = norm.NFKD
	}
	var runes []rune
	for _, r := range s {
		runes = append(runes, []rune(single.String(string(r)))...)
	}
	for i := 0; i < len(runes); {
		j := i
		for j < len(runes) && ccc(runes[j]) > 0 {
			j++
		}
		slices.SortStableFunc(runes[i:j], func(a, b rune) int { return int(ccc(a)) - int(ccc(b)) })
		i = max(j, i+1)
	}
	if f == norm.NFC || f == norm.NFKC {
		runes = compose(runes)
	}
	return string(runes)
}

func ccc(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }

// compose joins each starter with the following marks that no mark of the
// same or a higher class blocks.
func compose(runes []rune) []rune {
	out := runes[:0]
	starter := -1
	last := -1 // class of the last mark kept after the starter
	for _, r := range runes {
		c := int(ccc(r))
		if starter >= 0 && (last < c || last < 0) && (c > 0 || starter == len(out)-1) {
			if p, ok := pair(out[starter], r); ok {
				out[starter] = p
				continue
			}
		}
		out = append(out, r)
		if c == 0 {
			starter, last = len(out)-1, -1
		} else {
			last = c
		}
	}
	return out
}

// pair returns the canonical composite of two characters.
func pair(a, b rune) (rune, bool) {
	s := norm.NFC.String(string([]rune{a, b}))
	r, n := utf8.DecodeRuneInString(s)
	return r, n == len(s)
}
