package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// compilePattern compiles a pattern for Oniguruma, the reference's engine, with Go's
// regexp. In Oniguruma, \s, \d and \w are Unicode's sets. Syntax that Go does not
// know, or that means something else in Go, is an error.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			set, err := escaped(pattern[i], inClass)
			if err != nil {
				return nil, err
			}
			b.WriteString(set)
		case inClass && (c == '[' || c == '&' && strings.HasPrefix(pattern[i:], "&&")):
			return nil, fmt.Errorf("a class within a class is not supported")
		case !inClass && (c == '^' || c == '$'):
			return nil, fmt.Errorf("%q is not supported", c)
		default:
			if c == '[' {
				inClass = true
				b.WriteByte(c)
				if strings.HasPrefix(pattern[i+1:], "^") {
					i++
					b.WriteByte('^')
				}
				continue
			}
			if c == ']' {
				inClass = false
			}
			b.WriteByte(c)
		}
	}
	return regexp.Compile(b.String())
}

// The sets of \s, \d and \w in Unicode, written as the inside of a class.
const (
	spaceSet = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	digitSet = `\p{Nd}`
	wordSet  = `\p{L}\p{M}\p{N}\p{Pc}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}`
)

// escaped returns Go's spelling of an escape.
func escaped(c byte, inClass bool) (string, error) {
	set := map[byte]string{'s': spaceSet, 'd': digitSet, 'w': wordSet}[c|0x20]
	switch {
	case set == "":
		if c >= '0' && c <= '9' || strings.IndexByte("bBAzZGKRXhHkgcCMyYNO", c) >= 0 {
			return "", fmt.Errorf(`\%c is not supported`, c)
		}
		return `\` + string(rune(c)), nil
	case inClass && c&0x20 == 0:
		return "", fmt.Errorf(`\%c in a class is not supported`, c)
	case inClass:
		return set, nil
	case c&0x20 == 0:
		return "[^" + set + "]", nil
	}
	return "[" + set + "]", nil
}

// blankTail ends the patterns of many published tokenizers: white space without its last
// character, which belongs to the word that follows. Go's regexp has no look-ahead, so that
// it is matched by hand.
const blankTail = `|\s+(?!\S)|\s+`

// nextOrBlank adds the alternatives of blankTail to a pattern.
func nextOrBlank(next func(s string, i int) (start, end int)) func(s string, i int) (start, end int) {
	return func(s string, i int) (int, int) {
		start, end := next(s, i)
		blank := strings.IndexFunc(s[i:], unicode.IsSpace)
		if blank < 0 || start >= 0 && start <= i+blank {
			return start, end
		}
		return i + blank, i + blank + spaces(s[i+blank:])
	}
}
