package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Normalise is what happens to the messages of rows that are kept, if they are in a language of
// the Arabic script. Their sources and segments stay as they are.
type Normalise struct {
	// Digits is one of the constants Digits…: kept, ASCII (0-9), or Arabic-Indic (٠-٩). Digits of
	// words in other scripts (MP3) stay.
	Digits string `json:"digits"`
	// Tatweel and Harakat remove the letter's lengthening and the marks of vowels.
	Tatweel bool `json:"tatweel"`
	Harakat bool `json:"harakat"`
	// Presentation replaces presentation forms of letters (ﻻ) by the letters (NFKC).
	Presentation bool `json:"presentation"`
	// Bidi removes the characters that control the direction of writing.
	Bidi bool `json:"bidi"`
	// Persian replaces ک and ی by ك and ي in Arabic.
	Persian bool `json:"persian"`
	// IsolateLatin encloses runs of Latin words in U+2066 and U+2069, so that their punctuation
	// stays at its place in text from right to left.
	IsolateLatin bool `json:"isolate_latin"`
}

const (
	DigitsKeep   = "keep"
	DigitsASCII  = "ascii"
	DigitsArabic = "arabic"
)

func (n Normalise) validate() error {
	switch n.Digits {
	case "", DigitsKeep, DigitsASCII, DigitsArabic:
		return nil
	}
	return badinput.Errorf("filter: normalise: digits is %q, expected %s, %s or %s", n.Digits, DigitsKeep, DigitsASCII, DigitsArabic)
}

// row returns the row with normalised messages, and whether they changed.
func (n Normalise) row(r dataset.Instruction) (dataset.Instruction, bool) {
	if !strings.HasSuffix(r.Language, "_Arab") {
		return r, false
	}
	changed := false
	for i, m := range r.Messages {
		text := n.text(m.Content, modelled[r.Language] == "arb_Arab" || r.Language == "arb_Arab")
		if text == m.Content {
			continue
		}
		if !changed {
			r.Messages = append(r.Messages[:0:0], r.Messages...)
			changed = true
		}
		r.Messages[i].Content = text
	}
	return r, changed
}

func presentation(c rune) bool { return c >= 0xFB50 && c <= 0xFDFF || c >= 0xFE70 && c <= 0xFEFC }

// direction reports characters that control the direction of writing.
func direction(c rune) bool {
	return c == 0x200E || c == 0x200F || c == 0x61C || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069
}

func (n Normalise) text(s string, arabic bool) string {
	var b strings.Builder
	b.Grow(len(s))
	var before rune
	for i, c := range s {
		out := c
		switch {
		case n.Presentation && presentation(c) && c != '﴾' && c != '﴿' && c != '﷽' && c != 'ﷺ':
			form := norm.NFKC.String(string(c))
			b.WriteString(strings.TrimSpace(form))
			before = 'ا'
			continue
		case n.Bidi && direction(c), n.Tatweel && c == 'ـ' && !hijri(s, i), n.Harakat && (c >= 0x64B && c <= 0x652 || c == 0x670):
			continue
		case n.Persian && arabic && c == 'ک':
			out = 'ك'
		case n.Persian && arabic && c == 'ی':
			out = 'ي'
		case n.Digits == DigitsASCII && c >= '٠' && c <= '٩':
			out = '0' + c - '٠'
		case n.Digits == DigitsASCII && c >= '۰' && c <= '۹':
			out = '0' + c - '۰'
		case n.Digits == DigitsArabic && c >= '0' && c <= '9' && !unicode.Is(unicode.Latin, before):
			out = '٠' + c - '0'
		case n.Digits == DigitsArabic && c >= '۰' && c <= '۹':
			out = '٠' + c - '۰'
		}
		b.WriteRune(out)
		if before = c; c >= '0' && c <= '9' && out == c {
			before = 'x' // the digits behind it belong to the same word
		}
	}
	if n.IsolateLatin {
		return isolate(b.String())
	}
	return b.String()
}

// hijri reports whether the tatweel at i ends the abbreviation of a year of the hijra, هـ.
func hijri(s string, i int) bool {
	after, _ := utf8.DecodeRuneInString(s[i+len("ـ"):])
	head, ok := strings.CutSuffix(s[:i], "ه")
	before, _ := utf8.DecodeLastRuneInString(head)
	return ok && !unicode.In(after, unicode.L, unicode.M) && !unicode.In(before, unicode.L, unicode.M)
}

// isolate encloses runs of Latin words, with the digits, spaces and signs between them.
func isolate(s string) string {
	var b strings.Builder
	rs := []rune(s)
	for i := 0; i < len(rs); i++ {
		if !unicode.Is(unicode.Latin, rs[i]) {
			b.WriteRune(rs[i])
			continue
		}
		end := i + 1 // behind the last letter or digit of the run
		for j := i; j < len(rs) && !unicode.Is(unicode.Arabic, rs[j]) && rs[j] != '\n' && !direction(rs[j]); j++ {
			if unicode.Is(unicode.Latin,
				rs[j]) || rs[j] >= '0' && rs[j] <= '9' || j == end && strings.ContainsRune("+#)]%", rs[j]) && opened(rs[i:j+1]) {
				end = j + 1
			}
		}
		b.WriteString("\u2066" + string(rs[i:end]) + "\u2069")
		i = end - 1
	}
	return b.String()
}

// opened reports whether a sign behind a run belongs to it: a bracket only if it was opened in it.
func opened(run []rune) bool {
	last := run[len(run)-1]
	for open, shut := range map[rune]rune{'(': ')', '[': ']'} {
		if last == shut {
			n := 0
			for _, c := range run {
				if c == open {
					n++
				} else if c == shut {
					n--
				}
			}
			return n >= 0
		}
	}
	return true
}
