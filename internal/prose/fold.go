package prose

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold returns a text in lower case without accents, for comparisons. In Arabic it drops vowel
// signs, the tatweel and the hamza on its seat, and writes ي for ى and ه for ة, as many writers do.
func Fold(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), r == 'ـ':
			return -1
		case r == 'ى':
			return 'ي'
		case r == 'ة':
			return 'ه'
		}
		return r
	}, norm.NFKD.String(strings.ToLower(text)))
}
