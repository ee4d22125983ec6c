// Package prose determines the script that a text is written in. Code, formulas
// and addresses are ignored, because they are Latin in every language.
package prose

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"barka/internal/literals"
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

// Scripts returns the scripts of a language by its NLLB code, nil if they are not known.
func Scripts(language string) []*unicode.RangeTable {
	if len(language) < 4 {
		return nil
	}
	return scripts[language[len(language)-4:]]
}

// foreign matches what is Latin in every language: fenced and inline code,
// formulas, addresses.
var foreign = regexp.MustCompile("(?s)```.*?(?:```|$)|(?-s:`[^`\n]+`)|\\$\\$.+?\\$\\$|\\\\\\[.+?\\\\\\]" +
	"|\\\\\\(.+?\\\\\\)|(?:https?://|www\\.)\\S+|\\S+@\\S+\\.\\S+")

var foreignLetters = sync.OnceValue(func() *literals.Set { return literals.New(foreign) })

// Words returns the text without code, formulas and addresses.
func Words(s string) string {
	if found := foreignLetters().Scan(s); found[0] == 0 {
		return s
	}
	return foreign.ReplaceAllString(s, " ")
}

// Letters counts the letters of a text's words, and how many of them belong to
// the language's script. If the script is not known, all of them do. Words that
// are the same in every language are not counted.
func Letters(s, language string) (letters, own int) { return LettersOf(Words(s), language) }

// LettersOf is Letters for a text that Words returned.
func LettersOf(words, language string) (letters, own int) {
	var tables []*unicode.RangeTable
	ours := letter
	if len(language) >= 4 {
		script := language[len(language)-4:]
		if tables = scripts[script]; tables != nil {
			ours = map[string]class{"Arab": arabic, "Latn": latin}[script] // 0 is none of these
		}
	}
	var w word
	for _, r := range words {
		c := classOf(r)
		switch {
		case c&space != 0:
			if !w.technical() {
				letters, own = letters+w.letters, own+w.own
			}
			w = word{}
		case c&letter != 0:
			w.other = w.other || c&(latin|greek) == 0
			w.inner = w.inner || c&upper != 0 && w.letters > 0
			w.letters++
			if c&ours != 0 || ours == 0 && unicode.In(r, tables...) {
				w.own++
			}
		case c&sign != 0:
			w.sign = true
		}
	}
	if !w.technical() {
		letters, own = letters+w.letters, own+w.own
	}
	return letters, own
}

// word is what is between two spaces.
type word struct {
	letters, own int
	inner        bool // a capital that is not the first letter
	sign         bool // a digit or a sign of formulas
	other        bool // a letter that is neither Latin nor Greek
}

// technical reports whether a word is the same in every language: Latin with
// digits or formula signs (CO2, x=3, H_{2}O), or short with inner capitals (NaOH,
// DNA, km/h).
func (w *word) technical() bool {
	return !w.other && (w.sign || w.inner && w.letters <= 6)
}

// class is what LettersOf distinguishes characters by.
type class uint8

const (
	space class = 1 << iota
	letter
	upper
	latin
	greek
	arabic
	sign
)

// classes are those of the Latin, Greek, Cyrillic and Arabic blocks.
var classes = func() (t [0x700]class) {
	for r := range t {
		t[r] = classify(rune(r))
	}
	return t
}()

func classOf(r rune) class {
	if int(r) < len(classes) {
		return classes[r]
	}
	return classify(r)
}

func classify(r rune) (c class) {
	switch {
	case unicode.IsSpace(r):
		return space
	case unicode.IsLetter(r):
		c = letter
	case unicode.IsDigit(r) || strings.ContainsRune("_^{}=<>+*/\\", r):
		return sign
	default:
		return 0
	}
	if unicode.IsUpper(r) {
		c |= upper
	}
	for _, script := range []struct {
		class
		table *unicode.RangeTable
	}{{latin, unicode.Latin}, {greek, unicode.Greek}, {arabic, unicode.Arabic}} {
		if unicode.Is(script.table, r) {
			c |= script.class
		}
	}
	return c
}

// unspaced are the scripts that put no spaces between words. Their characters come behind
// firstUnspaced.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao,
	unicode.Khmer, unicode.Myanmar}

const firstUnspaced = 0xE00

// CountWords counts the words separated by spaces. In scripts without spaces
// every letter counts as a word.
func CountWords(s string) int {
	words, letters, inside := 0, 0, false
	for _, r := range s {
		if int(r) < len(classes) && classes[r]&space != 0 || int(r) >= len(classes) && unicode.IsSpace(r) {
			inside = false
			continue
		}
		if !inside {
			words, inside = words+1, true
		}
		if r >= firstUnspaced && unicode.In(r, unspaced...) {
			letters++
		}
	}
	return max(words, letters)
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
