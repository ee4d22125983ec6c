package filter

import (
	"slices"
	"strings"

	"barka/internal/numerals"
	"barka/internal/prose"
)

// sameNumbers compares the numbers of a translation with those of its source, in the digits of
// any script. A number is kept if the target has it with other separators, as thousands,
// millions or billions, as the end of a longer one (1950-53), or in Arabic words.
// Ordinals and decades, which people write in words, and numbers below 3 are not looked for.
func sameNumbers(r *examined) finding {
	if !r.o.SameNumbers {
		return skip(off)
	}
	if !r.translated() {
		return skip(noSource)
	}
	arabic := strings.HasSuffix(r.Language, "_Arab")
	return r.most(0, every, func(i int, t *text) (float64, string) {
		source := numbersOf(r.MessagesEN[i].Content, true)
		if len(source) == 0 {
			return 0, ""
		}
		target := numbersOf(t.string, false)
		lost, first := 0.0, ""
		for _, n := range source {
			if keeps(n, target, t.string, arabic) {
				continue
			}
			if lost++; first == "" {
				first = n + " is missing"
			}
		}
		return lost, first
	})
}

// keeps reports whether the target has a number of the source.
func keeps(n string, target []string, text string, arabic bool) bool {
	if slices.Contains(target, n) || n == "" || n == "1" || n == "2" {
		return true
	}
	for _, zeros := range []string{"000", "000000", "000000000"} {
		if short, ok := strings.CutSuffix(n, zeros); ok && short != "" && slices.Contains(target, short) {
			return true
		}
	}
	for _, t := range target {
		if len(n) == 2 && strings.HasSuffix(t, n) || len(t) > len(n) && strings.HasPrefix(t, n) && strings.Trim(t[len(n):], "0") == "" ||
			len(n) >= 3 && strings.Contains(t, n) {
			return true
		}
	}
	if !arabic {
		return len(n) < 3 // written in words of a language that is not known here
	}
	return slices.Contains(numerals.Of(text).Words, n)
}

// numbersOf returns the numbers of a text in ASCII digits, without separators of thousands,
// leading zeros and the zeros of ":00". Of a source, ordinals and decades are left out, and
// digits that are part of a word (COVID-19 is a number, MP3 is not).
func numbersOf(s string, source bool) (all []string) {
	if !mayHaveDigits(s) {
		return nil
	}
	rs := []rune(s)
	digit := func(i int) (rune, bool) {
		if i < 0 || i >= len(rs) {
			return 0, false
		}
		if rs[i] < 0x80 {
			return rs[i] - '0', rs[i] >= '0' && rs[i] <= '9'
		}
		if rs[i] < 0x660 {
			return 0, false
		}
		return prose.Digit(rs[i])
	}
	for i := 0; i < len(rs); i++ {
		if _, ok := digit(i); !ok {
			continue
		}
		start := i
		var b []byte
		for ; ; i++ {
			if d, ok := digit(i); ok {
				b = append(b, '0'+byte(d))
				continue
			}
			if i+3 < len(rs) && strings.ContainsRune(",،٬'’ .\u00a0\u202f", rs[i]) && groups(rs, i, digit) && rs[i] != '.' && rs[i] != ' ' {
				continue
			}
			break
		}
		if source && start > 0 && letter(rs[start-1]) || source && i < len(rs) && letter(rs[i]) && !unit(rs[i:]) {
			continue
		}
		n := strings.TrimLeft(string(b), "0")
		if n != "" || !source {
			all = append(all, n)
		}
	}
	return all
}

// mayHaveDigits is false for texts without digits, as far as their bytes tell.
func mayHaveDigits(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x80:
			if c >= '0' && c <= '9' {
				return true
			}
		case c >= 0xDF, (c == 0xD9 || c == 0xDB) && i+1 < len(s) && s[i+1] >= 0xA0: // from U+0660, U+06E0 and U+07C0 on
			return true
		}
	}
	return false
}

// groups reports whether exactly three digits follow a separator.
func groups(rs []rune, i int, digit func(int) (rune, bool)) bool {
	for k := 1; k <= 3; k++ {
		if _, ok := digit(i + k); !ok {
			return false
		}
	}
	_, more := digit(i + 4)
	return !more
}

func letter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_' }

// unit reports whether letters behind a number are a unit, such as km, and not of an ordinal, a
// decade or a name.
func unit(rest []rune) bool {
	end := 0
	for end < len(rest) && letter(rest[end]) {
		end++
	}
	switch strings.ToLower(string(rest[:end])) {
	case "km", "kg", "m", "cm", "mm", "g", "mg", "ml", "km2", "am", "pm", "mph", "kph", "ft", "lb", "lbs", "k", "bn":
		return true
	}
	return false
}
