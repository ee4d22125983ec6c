package audit

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// shortest is the fewest words by which texts can be compared.
const shortest = 4

// words returns the words of a text in the spelling by which texts are
// compared: lower case, compatibility forms resolved, Arabic without vowel
// signs and tatweel, with one form of alef, ya and ta marbuta. Everything
// that is no letter or digit ends a word.
func words(text string) []string {
	text = strings.Map(fold, norm.NFKC.String(text))
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func fold(r rune) rune {
	switch {
	case r == 'ـ' || unicode.Is(unicode.Mn, r):
		return -1
	case r == 'أ' || r == 'إ' || r == 'آ' || r == 'ٱ':
		return 'ا'
	case r == 'ى':
		return 'ي'
	case r == 'ة':
		return 'ه'
	case r == 'ؤ':
		return 'و'
	case r == 'ئ':
		return 'ي'
	case r >= '٠' && r <= '٩':
		return r - '٠' + '0'
	}
	return unicode.ToLower(r)
}
