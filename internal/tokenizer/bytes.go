package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// byteRunes maps each byte to the character that represents it in byte-level
// vocabularies (GPT-2): itself if it is printable, otherwise one from U+0100 on.
// runeBytes is the inverse, with -1 for other characters.
var byteRunes, runeBytes = func() (out [256]rune, back [0x144]int16) {
	for r := range back {
		back[r] = -1
	}
	n := rune(0)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = 256 + n
			n++
		}
		out[b], back[r] = r, int16(b)
	}
	return out, back
}()

// runeByte returns the byte that a character represents, if it represents one.
func runeByte(r rune) (byte, bool) {
	if r < 0 || int(r) >= len(runeBytes) || runeBytes[r] < 0 {
		return 0, false
	}
	return byte(runeBytes[r]), true
}

// byteText writes each byte of s as its character.
func byteText(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < '!' || c > '~' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.Grow(2 * len(s))
	for i := 0; i < len(s); i++ {
		b.WriteRune(byteRunes[s[i]])
	}
	return b.String()
}

// textBytes is the inverse. A token with any other character is its own UTF-8 bytes.
func textBytes(dst []byte, token string) []byte {
	start := len(dst)
	for _, r := range token {
		b, ok := runeByte(r)
		if !ok {
			return append(dst[:start], token...)
		}
		dst = append(dst, b)
	}
	return dst
}

// byteLevelAlphabet reports whether every character of s represents a byte.
func byteLevelAlphabet(s string) bool {
	for _, r := range s {
		if _, ok := runeByte(r); !ok {
			return false
		}
	}
	return true
}

// lossy replaces every maximal invalid sequence of UTF-8 by U+FFFD, like Rust's
// from_utf8_lossy.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[brokenLen(b):]
	}
	return out.String()
}

// brokenLen returns the length of the longest prefix of b that starts a character
// without completing it. One replacement character stands for it.
func brokenLen(b []byte) int {
	c := b[0]
	need, lo, hi := 0, byte(0x80), byte(0xbf)
	switch {
	case c >= 0xc2 && c <= 0xdf:
		need = 1
	case c >= 0xe0 && c <= 0xef:
		need = 2
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		need = 3
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= lo && b[n] <= hi {
		n++
		lo, hi = 0x80, 0xbf
	}
	return n
}
