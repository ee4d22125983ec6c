package audit

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// shortest is the fewest words by which texts can be compared.
const shortest = 4

// words appends a hash of each word of a text, in the spelling by which texts
// are compared: lower case, compatibility forms resolved, Arabic without vowel
// signs and tatweel, with one form of alef, ya, kaf, ha and ta marbuta, digits
// as in English. Marks of writing direction and joining are nothing;
// everything else that is no letter or digit ends a word.
func words(to []uint64, text string) []uint64 {
	if !plain(text) && norm.NFKC.QuickSpanString(text) < len(text) {
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
			to = append(to, spread(h))
			h, letters = start, 0
		}
	}
	if letters > 0 {
		to = append(to, spread(h))
	}
	return to
}

// plain reports whether a text has only characters, the most of Arabic and
// English, that normalisation leaves as they are here: it may reorder vowel
// signs, which count for nothing.
func plain(text string) bool {
	for _, r := range text {
		if r >= 0xa0 && (r < '،' || r > '\u0652') && (r < '٠' || r > '٩') && (r < '\u2000' || r > '\u206f') {
			return false
		}
	}
	return true
}

// spread lets every bit of a hash depend on every other.
func spread(h uint64) uint64 {
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// folded returns the letter or digit a character is compared as, a space for
// what ends a word, and 0 for what counts for nothing.
func folded(r rune) rune {
	if int(r) < len(foldings) {
		return foldings[r]
	}
	return fold(r)
}

// foldings holds fold of the Latin, Greek, Cyrillic and Arabic blocks.
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
