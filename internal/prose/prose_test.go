package prose

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
)

func TestLetters(t *testing.T) {
	for _, c := range []struct {
		text, language string
		letters, own   int
	}{
		{"قهوة coffee", "arb_Arab", 10, 4},
		{"قهوة coffee", "eng_Latn", 10, 6},
		{"اكتب هذا:\n```python\nprint('hello')\n```\nشكرا", "arb_Arab", 11, 11},
		{"اكتب ```unclosed code", "arb_Arab", 4, 4},
		{"الأمر `git push` هنا", "arb_Arab", 8, 8},
		{"انظر https://example.org/a أو me@example.org", "arb_Arab", 6, 6},
		{"المعادلة $$x^2 + y$$ و \\(a+b\\)", "arb_Arab", 9, 9},
		{"التفاعل HCl + NaOH -> H_{2}O بسرعة 5 km/h", "arb_Arab", 12, 12},
		{"Untranslated prose of McDonald and NASA", "arb_Arab", 30, 0},
		{"a `b\nc` d", "arb_Arab", 4, 0},
		{"東京は日本の首都です", "jpn_Jpan", 10, 10},
		{"text", "xyz_Qqqq", 4, 4},
		{"text", "", 4, 4},
	} {
		if l, o := Letters(c.text, c.language); l != c.letters || o != c.own {
			t.Errorf("%q in %s: %d letters, %d own; want %d, %d", c.text, c.language, l, o, c.letters, c.own)
		}
	}
}

func TestIsLanguage(t *testing.T) {
	for s, want := range map[string]bool{"eng_Latn": true, "arb_Arab": true, "zho_Hans": true, "en": false, "eng-Latn": false,
		"eng_Qqqq": false, "": false} {
		if IsLanguage(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestCountWords(t *testing.T) {
	for s, want := range map[string]int{"": 0, "one two": 2, "قهوة عربية": 2, "東京は日本": 5} {
		if got := CountWords(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// TestCounts compares Letters and CountWords with their definitions, on texts of all kinds of
// characters.
func TestCounts(t *testing.T) {
	pieces := strings.Split("a|Ab|NaOH|CO2|x=3|ß|é|É|λ|Ω|ж|ع|ی|ﻻ|ـ|\u064b|٣|7|_|+|。|漢|字|か|ก|ខ| |\n|\u00a0|\u2003|\x1f|\xff|’|-|،|𝒳|½", "|")
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(20) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		text := b.String()
		for _, language := range []string{"arb_Arab", "eng_Latn", "jpn_Jpan", "rus_Cyrl", "zho_Hans", "xxx_Xxxx", ""} {
			letters, own := Letters(text, language)
			wantLetters, wantOwn := plainLetters(text, language)
			if letters != wantLetters || own != wantOwn {
				t.Fatalf("%q as %s: %d letters, %d own; want %d, %d", text, language, letters, own, wantLetters, wantOwn)
			}
		}
		unspacedLetters := 0
		for _, r := range text {
			if unicode.In(r, unspaced...) {
				unspacedLetters++
			}
		}
		if got, want := CountWords(text), max(len(strings.Fields(text)), unspacedLetters); got != want {
			t.Fatalf("%q: %d words, want %d", text, got, want)
		}
	}
}

func plainLetters(s, language string) (letters, own int) {
	var tables []*unicode.RangeTable
	if len(language) >= 4 {
		tables = scripts[language[len(language)-4:]]
	}
	for word := range strings.FieldsSeq(s) {
		n, ours, sign, inner, western := 0, 0, false, false, true
		for _, r := range word {
			switch {
			case unicode.IsLetter(r):
				western = western && unicode.In(r, unicode.Latin, unicode.Greek)
				inner = inner || n > 0 && unicode.IsUpper(r)
				n++
				if tables == nil || unicode.In(r, tables...) {
					ours++
				}
			case unicode.IsDigit(r) || strings.ContainsRune("_^{}=<>+*/\\", r):
				sign = true
			}
		}
		if western && (sign || inner && n <= 6) {
			continue
		}
		letters, own = letters+n, own+ours
	}
	return letters, own
}
