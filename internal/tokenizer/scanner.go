package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// scanner returns the length of the match of a pattern at the start of s, or 0. The
// patterns of the known tokenizers are written by hand, because they use look-ahead,
// which Go's regexp lacks, and because they take much of the time of encoding.
type scanner func(s string) int

// Patterns as tokenizer.json spells them.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// knownScanner returns the scanner of a known pattern, nil for others.
func knownScanner(pattern string) scanner {
	switch pattern {
	case gpt2Pattern:
		return scanGPT2
	case llama3Pattern:
		return func(s string) int { return scanLlama3(s, 3) }
	case qwen2Pattern:
		return func(s string) int { return scanLlama3(s, 1) }
	}
	return nil
}

// class is a class of characters that the patterns distinguish.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

// classes holds the class of each character of the Basic Multilingual Plane.
var classes = func() *[1 << 16]class {
	t := new([1 << 16]class)
	fill := func(table *unicode.RangeTable, c class) {
		for _, r := range table.R16 {
			for x := int(r.Lo); x <= int(r.Hi); x += int(r.Stride) {
				t[x] = c
			}
		}
	}
	fill(unicode.L, letter)
	fill(newLetters, letter)
	fill(unicode.N, number)
	fill(unicode.White_Space, space)
	return t
}()

func classOf(r rune) class {
	switch {
	case r < 1<<16:
		return classes[r]
	case unicode.In(r, unicode.L, newLetters):
		return letter
	case unicode.In(r, unicode.N, newNumbers):
		return number
	}
	return other
}

// next returns the class and length of the first rune of s.
func next(s string) (class, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return classes[c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return classOf(r), n
}

// run returns how many bytes at the start of s are of a class.
func run(s string, c class) int {
	n := 0
	for n < len(s) {
		k, size := next(s[n:])
		if k != c {
			break
		}
		n += size
	}
	return n
}

// scanGPT2 matches gpt2Pattern.
func scanGPT2(s string) int {
	if s == "" {
		return 0
	}
	if n := contraction(s, false); n > 0 {
		return n
	}
	skip := 0
	if s[0] == ' ' {
		skip = 1
	}
	if len(s) > skip {
		if c, _ := next(s[skip:]); c != space {
			return skip + run(s[skip:], c)
		}
	}
	return spaces(s)
}

// scanLlama3 matches llama3Pattern, or qwen2Pattern with one digit at a time.
func scanLlama3(s string, digits int) int {
	if s == "" {
		return 0
	}
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, size := next(s)
	if c == letter {
		return run(s, letter)
	}
	if c != number && s[0] != '\r' && s[0] != '\n' && len(s) > size {
		if d, _ := next(s[size:]); d == letter {
			return size + run(s[size:], letter)
		}
	}
	if c == number {
		n := 0
		for i := 0; i < digits && n < len(s); i++ {
			k, size := next(s[n:])
			if k != number {
				break
			}
			n += size
		}
		return n
	}
	skip := 0
	if s[0] == ' ' {
		skip = 1
	}
	if n := run(s[skip:], other); n > 0 {
		n += skip
		for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
			n++
		}
		return n
	}
	blank := run(s, space)
	if i := strings.LastIndexAny(s[:blank], "\r\n"); i >= 0 {
		return i + 1
	}
	return spaces(s)
}

// spaces matches \s+(?!\S)|\s+: white space without the last character before other
// text.
func spaces(s string) int {
	n := run(s, space)
	if n == 0 || n == len(s) {
		return n
	}
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n > last {
		return n - last
	}
	return n
}

// contraction matches 's|'t|'re|'ve|'m|'ll|'d.
func contraction(s string, foldCase bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	a, b := s[1], byte(0)
	if len(s) > 2 {
		b = s[2]
	}
	if foldCase {
		a, b = lower(a), lower(b)
		if strings.HasPrefix(s[1:], "ſ") { // folds to s
			return 3
		}
	}
	switch {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 32
	}
	return c
}
