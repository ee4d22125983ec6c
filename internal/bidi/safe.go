// Package bidi lays out text of both directions as lines for a terminal.
//
// Some terminals reorder right-to-left text by Unicode's bidirectional algorithm, and
// others show characters in the order in which they come. The mode Isolate serves both:
// characters stay in logical order, each line is enclosed in an isolate of its paragraph's
// direction, and inside a right-to-left line code, formulas, Latin words and numbers are
// isolated too, so that a terminal with the algorithm does not mix them with the text
// around them. The mode Reorder is for terminals without it: the lines are written in
// visual order, and Arabic letters in their joined forms. Widths are counted in cells by
// grapheme clusters.
package bidi

import (
	"fmt"
	"strings"
	"unicode"

	"barka/internal/printable"
)

// Safe returns untrusted text as it may be laid out: as printable.Text, with isolates and
// all invisible format characters written as escapes too. The marks and joiners of Arabic
// text stay. A tab becomes four blanks.
func Safe(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\t' || hidden(r) }) {
		var b strings.Builder
		for i, r := range s {
			switch {
			case r == '\t':
				b.WriteString("    ")
			case hidden(r) && r > 0xffff:
				fmt.Fprintf(&b, `\U%08x`, r)
			case hidden(r):
				fmt.Fprintf(&b, `\u%04x`, r)
			case r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], "\ufffd"):
				b.WriteByte(s[i]) // not UTF-8
			default:
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	return printable.Text(s)
}

// hidden reports whether a format character shows nothing by itself and is not part of
// how Arabic is written.
func hidden(r rune) bool {
	if r < 0xad || !unicode.Is(unicode.Cf, r) {
		return false
	}
	switch {
	case r >= 0x200c && r <= 0x200f, r == 0x061c: // joiners and marks
		return false
	case r >= 0x0600 && r <= 0x0605, r == 0x06dd, r == 0x08e2: // visible signs
		return false
	}
	return true
}
