package wikitext

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold is a heading in the form in which headings are compared: without case,
// accents, marks of Arabic vowels, tatweel, hamza, the article of each word, and
// punctuation. "انظر أيضًا" and "أنظر ايضا" are equal, and so are "المراجع" and "مراجع".
func Fold(heading string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(heading)) {
		switch {
		case r == 'ـ' || r == 'ء' || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r):
		case r == 'ٱ':
			b.WriteRune('ا')
		case r == 'ى' || r == 'ی':
			b.WriteRune('ي')
		case r == 'ک':
			b.WriteRune('ك')
		case r == 'ة':
			b.WriteRune('ه')
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	words := strings.Fields(b.String())
	for i, w := range words {
		and := ""
		if rest, ok := strings.CutPrefix(w, "وال"); ok && len(rest) > 4 {
			and, w = "و", "ال"+rest
		}
		if rest, ok := strings.CutPrefix(w, "ال"); ok && len(rest) > 4 {
			w = rest
		}
		words[i] = and + w
	}
	return strings.Join(words, " ")
}
