package prose

import (
	"unicode"
	"unicode/utf8"
)

// Width is a text's length in letters of an alphabet, by which texts of different scripts are
// compared. A sign of Chinese, Japanese and Korean stands for about three.
func Width(s string) (n int) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c&0xC0 == 0x80 {
			continue // inside a character
		}
		n++
		if c < 0xE1 { // below U+1000
			continue
		}
		if r, _ := utf8.DecodeRuneInString(s[i:]); unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			n += 2
		}
	}
	return n
}
