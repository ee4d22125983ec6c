// Package langid identifies the language of a text. It tells Arabic, its dialects included, from
// the other languages of the Arabic script, and some languages of the Latin script from each
// other. For every other script it reports the script alone.
//
// The model is a softmax over n-grams of one to five letters with weights of one byte.
// reference/langid trains it and names the sources of its texts and their licences.
package langid

import (
	"math"
	"slices"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Guess is what Identify makes of a text.
type Guess struct {
	// Language is a code as NLLB writes it, such as arb_Arab; "und_" and the script, such as
	// und_Cyrl, if the model knows no language of the script; "" if the text has no letters.
	Language string
	// Probability is the model's for Language, 1 for a script without a model. It is calibrated
	// for texts of some words and says little about one word.
	Probability float64
	// Letters is the number of letters of the language's script.
	Letters int

	table  *table
	scores [lanes]float64 // probabilities of the table's languages
}

// Of returns the probability of another language, 0 if it is of another script. ok reports
// whether the model knows the language.
func (g Guess) Of(language string) (p float64, ok bool) {
	for _, t := range model() {
		for i, l := range t.languages {
			if l != language {
				continue
			}
			if t == g.table {
				p = g.scores[i]
			}
			return p, true
		}
	}
	return 0, false
}

// Knows reports whether the model knows a language.
func Knows(language string) bool {
	for _, t := range model() {
		if slices.Contains(t.languages, language) {
			return true
		}
	}
	return false
}

// Identify returns the most probable language of a text, judged by the script with most letters.
func Identify(text string) Guess {
	script, letters := mainScript(text)
	if letters == 0 {
		return Guess{}
	}
	t := tableOf(script)
	if t == nil {
		return Guess{Language: "und_" + script, Probability: 1, Letters: letters}
	}
	g := Guess{Letters: letters, table: t, scores: t.probabilities(text)}
	best := 0
	for i := range t.languages {
		if g.scores[i] > g.scores[best] {
			best = i
		}
	}
	g.Language, g.Probability = t.languages[best], g.scores[best]
	return g
}

// others are the scripts that mainScript tells apart beside Arabic and Latin.
var others = []struct {
	code  string
	table *unicode.RangeTable
}{{"Cyrl", unicode.Cyrillic}, {"Hebr", unicode.Hebrew}, {"Deva", unicode.Devanagari}, {"Grek", unicode.Greek},
	{"Hani", unicode.Han}, {"Hira", unicode.Hiragana}, {"Kana", unicode.Katakana}, {"Hang", unicode.Hangul}, {"Beng", unicode.Bengali},
	{"Guru", unicode.Gurmukhi}, {"Taml", unicode.Tamil}, {"Thai", unicode.Thai}, {"Thaa", unicode.Thaana}, {"Syrc", unicode.Syriac},
	{"Ethi", unicode.Ethiopic}, {"Armn", unicode.Armenian}, {"Geor", unicode.Georgian}, {"Tfng", unicode.Tifinagh}}

// classes has the class of each character below its length for mainScript.
var classes = func() (t [0x2000]uint8) {
	for i := range t {
		switch r := rune(i); {
		case r < 0x80:
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				t[i] = latin
			}
		case r >= 0x620 && r <= 0x64A || r >= 0x66E && r <= 0x6D3 || inArab(r) && unicode.IsLetter(r):
			t[i] = arabic
		case r < 0x250 && unicode.IsLetter(r) || r >= 0x1E00 && r <= 0x1EFF:
			t[i] = latin
		case unicode.IsLetter(r):
			t[i] = other
		}
	}
	return t
}()

// Classes of characters: none of a letter, letters of a script with a model, and other letters.
const (
	none = iota
	arabic
	latin
	other
)

// mainScript returns the script with most letters and their number.
func mainScript(text string) (script string, letters int) {
	var counts [other + 1]int
	var rest map[string]int
	for _, r := range text {
		class := uint8(none)
		switch {
		case int(r) < len(classes):
			class = classes[r]
		case r >= 0xFB50 && r <= 0xFDFF || r >= 0xFE70 && r <= 0xFEFC:
			class = arabic
		case unicode.IsLetter(r):
			class = other
		}
		counts[class]++
		if class == other {
			if rest == nil {
				rest = map[string]int{}
			}
			rest[otherScript(r)]++
		}
	}
	script, letters = "Arab", counts[arabic]
	if counts[latin] > letters {
		script, letters = "Latn", counts[latin]
	}
	for s, n := range rest {
		if n > letters || n == letters && s < script {
			script, letters = s, n
		}
	}
	return script, letters
}

func otherScript(r rune) string {
	for _, s := range others {
		if unicode.Is(s.table, r) {
			return s.code
		}
	}
	return "Zyyy"
}

// probabilities returns the softmax over the table's languages.
func (t *table) probabilities(text string) (p [lanes]float64) {
	var c counter
	if !c.add(t, text) {
		c = counter{}
		c.add(t, norm.NFKC.String(text))
	}
	c.flush()
	scale := float64(t.scale) / float64(max(c.total, 1))
	top := math.Inf(-1)
	for i := range t.languages {
		p[i] = float64(c.sums[i]-bias*c.hits)*scale + float64(t.bias[i])
		top = max(top, p[i])
	}
	sum := 0.0
	for i := range t.languages {
		p[i] = math.Exp(p[i] - top)
		sum += p[i]
	}
	for i := range t.languages {
		p[i] /= sum
	}
	return p
}
