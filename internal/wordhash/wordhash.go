// Package wordhash turns texts into hashes of their words, for comparisons that ignore
// spelling variants of Arabic, case, punctuation and layout. Audits of benchmarks and the
// search for near-duplicates compare texts by it.
package wordhash

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Words appends a hash of each word of a text, in a spelling for comparison: lower case,
// compatibility forms resolved, Arabic without vowel signs and tatweel, with one form of
// alef, ya, kaf, ha and ta marbuta, and with ASCII digits. Marks of direction and joining
// are ignored. Every other character that is not a letter or digit ends a word.
func Words(to []uint64, text string) []uint64 {
	if !Plain(text) && norm.NFKC.QuickSpanString(text) < len(text) {
		text = norm.NFKC.String(text)
	}
	const start, prime = 0xcbf29ce484222325, 0x100000001b3 // FNV-1a, rune by rune
	h, letters := uint64(start), 0
	for _, r := range text {
		switch r = folded(r); {
		case r > ' ':
			h = (h ^ uint64(r)) * prime
			letters++
		case r == ' ' && letters > 0:
			to = append(to, Spread(h))
			h, letters = start, 0
		}
	}
	if letters > 0 {
		to = append(to, Spread(h))
	}
	return to
}

// Plain reports whether a text has only characters that normalisation does not change,
// which are most of Arabic and English. Normalisation may reorder vowel signs, but these
// are ignored.
func Plain(text string) bool {
	for _, r := range text {
		if r >= 0xa0 && (r < '،' || r > '\u0652') && (r < '٠' || r > '٩') && (r < '\u2000' || r > '\u206f') {
			return false
		}
	}
	return true
}

// Spread mixes the bits of a hash.
func Spread(h uint64) uint64 {
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// folded returns the letter or digit as which a character is compared, a space if it ends
// a word, and 0 if it is ignored.
func folded(r rune) rune {
	if int(r) < len(foldings) {
		return foldings[r]
	}
	return fold(r)
}

// foldings holds the results of fold for the Latin, Greek, Cyrillic and Arabic blocks.
var foldings = func() (t [0x700]rune) {
	for r := range t {
		t[r] = fold(rune(r))
	}
	return t
}()

func fold(r rune) rune {
	switch {
	case r == 'ـ' || unicode.Is(unicode.Mn, r):
		return 0
	case r == '\u200b': // zero width space
		return ' '
	case unicode.Is(unicode.Cf, r):
		return 0
	case r == 'أ' || r == 'إ' || r == 'آ' || r == 'ٱ':
		return 'ا'
	case r == 'ى' || r == 'ئ' || r == 'ی':
		return 'ي'
	case r == 'ک':
		return 'ك'
	case r == 'ة' || r == 'ۀ' || r == 'ہ' || r == 'ھ':
		return 'ه'
	case r == 'ؤ':
		return 'و'
	case r >= '٠' && r <= '٩':
		return r - '٠' + '0'
	case r >= '۰' && r <= '۹':
		return r - '۰' + '0'
	case unicode.IsLetter(r) || unicode.IsDigit(r):
		return unicode.ToLower(r)
	}
	return ' '
}
