// Package prose determines the script that a text is written in. Code, formulas
// and addresses are ignored, because they are Latin in every language.
package prose

import (
	"regexp"
	"strings"
	"unicode"
)

// scripts maps the last four letters of a language code (ISO 15924) to its
// scripts. All scripts that a language mixes count as its own.
var scripts = map[string][]*unicode.RangeTable{
	"Arab": {unicode.Arabic}, "Armn": {unicode.Armenian}, "Beng": {unicode.Bengali}, "Cyrl": {unicode.Cyrillic},
	"Deva": {unicode.Devanagari}, "Ethi": {unicode.Ethiopic}, "Geor": {unicode.Georgian}, "Grek": {unicode.Greek},
	"Gujr": {unicode.Gujarati}, "Guru": {unicode.Gurmukhi}, "Hang": {unicode.Hangul, unicode.Han}, "Hans": {unicode.Han},
	"Hant": {unicode.Han}, "Hebr": {unicode.Hebrew}, "Jpan": {unicode.Han, unicode.Hiragana, unicode.Katakana},
	"Khmr": {unicode.Khmer}, "Knda": {unicode.Kannada}, "Laoo": {unicode.Lao}, "Latn": {unicode.Latin}, "Mlym": {unicode.Malayalam},
	"Mymr": {unicode.Myanmar}, "Olck": {unicode.Ol_Chiki}, "Orya": {unicode.Oriya}, "Sinh": {unicode.Sinhala},
	"Taml": {unicode.Tamil}, "Telu": {unicode.Telugu}, "Tfng": {unicode.Tifinagh}, "Thai": {unicode.Thai}, "Tibt": {unicode.Tibetan},
}

var code = regexp.MustCompile(`^[a-z]{3}_[A-Z][a-z]{3}$`)

// IsLanguage reports whether s has the form of an NLLB language code, such as
// eng_Latn or arb_Arab, with a script that this package knows.
func IsLanguage(s string) bool { return code.MatchString(s) && scripts[s[4:]] != nil }

// foreign matches what is Latin in every language: fenced and inline code,
// formulas, addresses.
var foreign = regexp.MustCompile("(?s)```.*?(?:```|$)|(?-s:`[^`\n]+`)|\\$\\$.+?\\$\\$|\\\\\\[.+?\\\\\\]" +
	"|\\\\\\(.+?\\\\\\)|(?:https?://|www\\.)\\S+|\\S+@\\S+\\.\\S+")

// Words returns the text without code, formulas and addresses.
func Words(s string) string {
	if !strings.ContainsAny(s, "`$\\@") && !strings.Contains(s, "http") && !strings.Contains(s, "www.") {
		return s
	}
	return foreign.ReplaceAllString(s, " ")
}

// Letters counts the letters of a text's words, and how many of them belong to
// the language's script. If the script is not known, all of them do. Words that
// are the same in every language are not counted.
func Letters(s, language string) (letters, own int) {
	var tables []*unicode.RangeTable
	if len(language) >= 4 {
		tables = scripts[language[len(language)-4:]]
	}
	for word := range strings.FieldsSeq(Words(s)) {
		if technical(word) {
			continue
		}
		for _, r := range word {
			if !unicode.IsLetter(r) {
				continue
			}
			letters++
			if tables == nil || unicode.In(r, tables...) {
				own++
			}
		}
	}
	return letters, own
}

// technical reports whether a word is the same in every language: Latin with
// digits or formula signs (CO2, x=3, H_{2}O), or short with inner capitals (NaOH,
// DNA, km/h).
func technical(word string) bool {
	letters, mark, inner := 0, false, false
	for _, r := range word {
		switch {
		case unicode.IsLetter(r):
			if !unicode.In(r, unicode.Latin, unicode.Greek) {
				return false
			}
			inner = inner || letters > 0 && unicode.IsUpper(r)
			letters++
		case unicode.IsDigit(r) || strings.ContainsRune("_^{}=<>+*/\\", r):
			mark = true
		}
	}
	return mark || inner && letters <= 6
}

// unspaced are the scripts that put no spaces between words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao,
	unicode.Khmer, unicode.Myanmar}

// CountWords counts the words separated by spaces. In scripts without spaces
// every letter counts as a word.
func CountWords(s string) int {
	n := len(strings.Fields(s))
	letters := 0
	for _, r := range s {
		if unicode.In(r, unspaced...) {
			letters++
		}
	}
	return max(n, letters)
}

// Digit returns the value of a decimal digit of any script. It relies on Unicode
// encoding decimal digits in runs of ten.
func Digit(r rune) (rune, bool) {
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	n := rune(0)
	for unicode.Is(unicode.Nd, r-1) {
		r--
		n++
	}
	return n % 10, true
}
