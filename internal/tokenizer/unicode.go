package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form returns the normalizer of a Unicode normalization form. The library limits runs
// of combining marks (Unicode's stream-safe text format); the reference does not.
// Texts with longer runs are therefore normalized by normalizeLong.
func form(f norm.Form) normalizer {
	inert := inertChars(f)
	plain := func(s string) string {
		switch {
		case allInert(s, inert):
			return s
		case longRun(s):
			return normalizeLong(s, f)
		}
		return f.String(s)
	}
	if f == norm.NFC || f == norm.NFD {
		return normalizerFunc(plain)
	}
	return normalizerFunc(func(s string) string {
		var out strings.Builder
		done := 0
		for i, r := range s {
			if r >= 0x32ff && unicode.Is(notCompatible, r) {
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

// inertLimit bounds the table of inertChars. Most alphabets are below it.
const inertLimit = 0x2000

// inertChars marks the characters that a form leaves unchanged next to any others.
func inertChars(f norm.Form) *[inertLimit]bool {
	t := new([inertLimit]bool)
	for r := range t {
		s := string(rune(r))
		t[r] = f.IsNormalString(s) && f.PropertiesString(s).BoundaryBefore()
	}
	return t
}

func allInert(s string, inert *[inertLimit]bool) bool {
	for _, r := range s {
		// Han characters are inert; an invalid byte is not.
		if r >= inertLimit && (r < 0x4e00 || r > 0x9fff) || r < inertLimit && !inert[r] {
			return false
		}
	}
	return true
}

// maxRun bounds the consecutive marks that the library handles. Each of them can
// decompose into two, and the letter before them can end in three; together they must
// stay within the library's limit of 30.
const maxRun = 13

// longRun reports whether s has more than maxRun consecutive marks. Such a run has more
// than 2*maxRun bytes, so it is enough to look at one character in that many bytes.
func longRun(s string) bool {
	for i := 0; i < len(s); i += 2*maxRun - utf8.UTFMax {
		for i > 0 && !utf8.RuneStart(s[i]) {
			i--
		}
		if !isMark(s[i:]) {
			continue
		}
		n := 0
		start := i
		for start > 0 {
			_, size := utf8.DecodeLastRuneInString(s[:start])
			if !isMark(s[start-size:]) {
				break
			}
			start -= size
		}
		for start < len(s) && isMark(s[start:]) {
			_, size := utf8.DecodeRuneInString(s[start:])
			start += size
			n++
		}
		if n > maxRun {
			return true
		}
	}
	return false
}

// isMark reports whether the character at the start of s decomposes, in any form, into
// marks, which are reordered. ﾞ is a letter except in NFKD.
func isMark(s string) bool {
	return s[0] >= utf8.RuneSelf && norm.NFKD.PropertiesString(s).LeadCCC() != 0
}

// normalizeLong is Unicode's algorithm (UAX #15) without shortcuts: decompose, order
// marks by combining class, compose.
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

// compose joins each starter with the following marks that are not blocked by a mark of
// the same or a higher class.
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
