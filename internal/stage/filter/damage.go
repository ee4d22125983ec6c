package filter

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/dataset"
)

// encoding counts damaged characters.
func encoding(r *examined) finding {
	if !r.o.Encoding {
		return skip(off)
	}
	return r.most(0, every, func(_ int, t *text) (float64, string) { return damaged(t.string) })
}

// damaged counts characters that no text has: U+FFFD and broken UTF-8 (also what JSON makes of a
// lone surrogate), control characters, private use, and the pairs and runs that come out when
// Arabic or accented letters are decoded by the wrong table. It returns the first of them.
func damaged(s string) (n float64, first string) {
	found := func(at, length int) {
		if n++; first == "" {
			first = fmt.Sprintf("%q", s[at:min(len(s), at+length)])
		}
	}
	var before rune
	run := 0 // letters from U+00C0 to U+00FF without a letter of ASCII beside them
	ascii := false
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7F {
				found(i, 1)
			}
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			ascii = letter
			if !letter || run < 4 {
				run = 0
			}
			before = rune(c)
			i++
			continue
		}
		if c >= 0xD8 && c <= 0xDB && i+1 < len(s) { // Arabic letters, most of what is read
			if s[i+1]&0xC0 == 0x80 {
				before, run, ascii = 'ا', 0, false
				i += 2
				continue
			}
		}
		x, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case x == utf8.RuneError, x >= 0x80 && x < 0xA0, x >= 0xE000 && x <= 0xF8FF, x >= 0xFFF0 && x < 0xFFFD, x == 0xFFFE, x == 0xFFFF:
			found(i, size)
		case mojibake(before, x):
			found(i-utf8.RuneLen(before), size+utf8.RuneLen(before))
		}
		if x >= 0xC0 && x <= 0xFF && !ascii {
			if run++; run == 4 {
				found(i-6, 8)
			}
		} else {
			run, ascii = 0, false
		}
		before = x
		i += size
	}
	if strings.Contains(s, "???") {
		if at := lost.FindStringIndex(s); at != nil {
			found(at[0], at[1]-at[0])
		}
	}
	return n, first
}

// lost is text whose letters were replaced by question marks.
var lost = regexp.MustCompile(`\?{3,}[ ،]\?{2,}`)

// continuation reports what the bytes 0x80 to 0xBF become in Latin-1 or Windows-1252.
func continuation(r rune) bool {
	return r >= 0x80 && r <= 0xBF && r != 0xAB && r != 0xBB || strings.ContainsRune("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ", r)
}

// mojibake reports a pair of characters that UTF-8 becomes when it is read as Windows-1252: the
// lead byte of Arabic (Ø to Û) or of accented letters (Â, Ã), or of quotation marks (â€).
func mojibake(a, b rune) bool {
	switch a {
	case 'Ø', 'Ù', 'Ú', 'Û':
		return continuation(b) || b == 'ª' || b == 'º'
	case 'Ã', 'Â':
		return continuation(b) && b != '…' && b != '”' && b != '’' && b != '–' && b != '—'
	case 'â':
		return b == '€'
	case 'ï':
		return b == '»'
	}
	return false
}

// bidi counts what makes text appear in another order than it is written: overrides, and
// embeddings and isolates that are not closed in their line. Marks such as U+200E are no defect;
// Normalise removes them.
func bidi(r *examined) finding {
	if !r.o.Bidi {
		return skip(off)
	}
	return r.most(0, every, func(_ int, t *text) (float64, string) {
		if !strings.Contains(t.string, "\u2028"[:2]) { // the first bytes of U+2000 to U+20FF
			return 0, ""
		}
		n, embedded, isolated := 0, 0, 0
		for _, c := range t.string {
			switch c {
			case 0x202D, 0x202E:
				n++
				embedded++
			case 0x202A, 0x202B:
				embedded++
			case 0x202C: // closing what is not open does nothing
				embedded = max(embedded-1, 0)
			case 0x2066, 0x2067, 0x2068:
				isolated++
			case 0x2069:
				isolated = max(isolated-1, 0)
			case '\n':
				if embedded != 0 || isolated != 0 {
					n, embedded, isolated = n+1, 0, 0
				}
			}
		}
		if embedded != 0 || isolated != 0 {
			n++
		}
		return float64(n), ""
	})
}

// elongation finds letters that are written several times for stress, and runs of tatweel. Code,
// addresses, numbers and capitals, which stand for numbers or for blanks, do not count.
func elongation(r *examined) finding {
	if r.o.MaxElongation == 0 {
		return skip(off)
	}
	return r.most(float64(r.o.MaxElongation), every, func(_ int, t *text) (float64, string) {
		longest, what := elongated(t.string)
		if longest > r.o.MaxElongation {
			if longest, what = elongated(t.words()); longest > r.o.MaxElongation {
				return float64(longest), fmt.Sprintf("%q", what)
			}
		}
		return float64(longest), ""
	})
}

func elongated(s string) (longest int, word string) {
	var before rune
	run, start := 0, 0
	for i, c := range s {
		if c != before {
			before, run, start = c, 1, i
			continue
		}
		if run++; run > longest && (c >= 'a' && c <= 'z' || c > utf8.RuneSelf && lengthens(c)) {
			longest, word = run, s[start:i+utf8.RuneLen(c)]
		}
	}
	return longest, word
}

func lengthens(c rune) bool {
	return c == 'ـ' || unicode.IsLetter(c) && !unicode.IsUpper(c) && !unicode.Is(unicode.Han, c)
}

var (
	tag = searched(0, `(?i)</?(?:p|div|span|br|hr|a|b|i|u|em|strong|ul|ol|li|table|tbody|tr|td|th|img|h[1-6]|font|script|style|`+
		`sup|sub|ref|nowiki|blockquote|center|iframe|body|html|head|meta|input|button|form|section)\b[^<>]{0,200}/?>`)
	entity = searched(0, `&(?:nbsp|amp|lt|gt|quot|apos|#\d{2,6}|#x[0-9a-fA-F]{2,5}|[lr]dquo|[lr]squo`+
		`|laquo|raquo|hellip|mdash|ndash|zwnj);`)
	onMarkup = regexp.MustCompile(`(?i)\bhtml\b|\bxml\b|<[a-z]+>|markup|وسم|وسوم|أوسمة`)
)

// markup counts tags and entities outside of code. A row whose question is about markup may have
// them, and so may a translation whose source has as many.
func markup(r *examined) finding {
	if !r.o.Markup {
		return skip(off)
	}
	f := r.most(0, every, func(i int, t *text) (float64, string) {
		n, what := marks(t)
		if n > 0 && r.translated() {
			source, _ := marks(r.source(i))
			n = math.Max(0, n-source)
		}
		return n, what
	})
	for i, m := range r.Messages {
		if f.dropped && m.Role == "user" && r.form == dataset.FormInstruction && onMarkup.MatchString(r.message(i).words()) {
			return skip("the question is about markup")
		}
	}
	return f
}

func marks(t *text) (n float64, first string) {
	var found []string
	for _, p := range []*phrase{tag, entity} {
		if t.may(p) {
			found = append(found, p.FindAllString(t.words(), -1)...)
		}
	}
	if len(found) > 0 {
		first = fmt.Sprintf("%q", found[0])
	}
	return float64(len(found)), first
}
