package tokenizer

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a stretch of text on its way to the model. first means that it starts the
// original text.
type piece struct {
	text  string
	first bool
}

// preTokenizer splits pieces further. It appends the parts of in to out.
type preTokenizer interface{ split(out, in []piece) []piece }

// metaspace replaces spaces by a mark, and puts a mark before the text.
type metaspace struct {
	mark    string
	prepend string // always, first, never
	splits  bool
}

func (m metaspace) split(out, in []piece) []piece {
	for _, p := range in {
		s := strings.ReplaceAll(p.text, " ", m.mark)
		if (m.prepend == "always" || m.prepend == "first" && p.first) && !strings.HasPrefix(s, m.mark) {
			s = m.mark + s
		}
		if !m.splits {
			out = append(out, piece{s, p.first})
			continue
		}
		first := p.first
		for s != "" {
			// Each mark starts a piece.
			end := len(s)
			if i := strings.Index(s[1:], m.mark); i >= 0 {
				end = 1 + i
			}
			out = append(out, piece{s[:end], first})
			s, first = s[end:], false
		}
	}
	return out
}

// byteLevel splits by GPT-2's pattern and then maps bytes to printable characters.
type byteLevel struct {
	prefixSpace bool
	pattern     scanner // nil: no splitting
	plain       bool    // the model accepts plain bytes
}

func (b byteLevel) split(out, in []piece) []piece {
	spell := byteText
	if b.plain {
		spell = func(s string) string { return s }
	}
	for _, p := range in {
		s := p.text
		if b.prefixSpace && s != "" && !strings.HasPrefix(s, " ") {
			s = " " + s
		}
		if b.pattern == nil {
			out = append(out, piece{spell(s), p.first})
			continue
		}
		for i := 0; i < len(s); {
			n := b.pattern(s[i:])
			if n <= 0 {
				_, n = utf8.DecodeRuneInString(s[i:])
			}
			out = append(out, piece{spell(s[i : i+n]), p.first && i == 0})
			i += n
		}
	}
	return out
}

// splitBy cuts pieces at the matches of a pattern.
type splitBy struct {
	// next returns the first match in s at or after byte i, or -1.
	next     func(s string, i int) (start, end int)
	behavior string
	invert   bool
}

func (b splitBy) split(out, in []piece) []piece {
	for _, p := range in {
		if b.behavior == "Isolated" {
			out = b.isolate(out, p)
			continue
		}
		first := p.first
		for _, s := range b.parts(p.text) {
			if s != "" {
				out = append(out, piece{s, first})
				first = false
			}
		}
	}
	return out
}

// isolate is the most common behavior: matches and the text between them are pieces.
func (b splitBy) isolate(out []piece, p piece) []piece {
	s := p.text
	for at := 0; at < len(s); {
		start, end := b.next(s, at)
		switch {
		case start < 0:
			start, end = len(s), len(s)
		case start == end: // an empty match: step over a character
			_, n := utf8.DecodeRuneInString(s[start:])
			start += n
			end = start
		}
		if start > at {
			out = append(out, piece{s[at:start], p.first && at == 0})
		}
		if end > start {
			out = append(out, piece{s[start:end], p.first && start == 0})
		}
		at = end
	}
	return out
}

// span is a stretch of text that does or does not match.
type span struct {
	start, end int
	match      bool
}

func (b splitBy) spans(s string) []span {
	var spans []span
	at := 0
	for at < len(s) {
		start, end := b.next(s, at)
		if start < 0 {
			break
		}
		if end == start {
			// An empty match: step over a character.
			_, n := utf8.DecodeRuneInString(s[start:])
			if start+n >= len(s) {
				break
			}
			spans = append(spans, span{at, start + n, false})
			at = start + n
			continue
		}
		if start > at {
			spans = append(spans, span{at, start, false})
		}
		spans = append(spans, span{start, end, true})
		at = end
	}
	if at < len(s) {
		spans = append(spans, span{at, len(s), false})
	}
	if b.invert {
		for i := range spans {
			spans[i].match = !spans[i].match
		}
	}
	return spans
}

// parts joins the spans of s according to the behavior.
func (b splitBy) parts(s string) []string {
	var out []span
	var before span
	for i, x := range b.spans(s) {
		join := false
		switch b.behavior {
		case "Removed":
			if x.match {
				continue
			}
		case "MergedWithPrevious":
			join = i > 0 && x.match && !before.match
		case "MergedWithNext":
			join = i > 0 && !x.match && before.match
		case "Contiguous":
			join = i > 0 && x.match == before.match
		}
		if join {
			out[len(out)-1].end = x.end
		} else {
			out = append(out, x)
		}
		before = x
	}
	texts := make([]string, len(out))
	for i, x := range out {
		texts[i] = s[x.start:x.end]
	}
	return texts
}

// nextString, nextRegexp, nextScanner and nextRune search for a literal, a regular
// expression, one of the known patterns, and single characters or runs of them.
func nextString(sub string) func(string, int) (int, int) {
	return func(s string, i int) (int, int) {
		if sub == "" {
			return -1, -1
		}
		at := strings.Index(s[i:], sub)
		if at < 0 {
			return -1, -1
		}
		return i + at, i + at + len(sub)
	}
}

func nextRegexp(re *regexp.Regexp) func(string, int) (int, int) {
	return func(s string, i int) (int, int) {
		m := re.FindStringIndex(s[i:])
		if m == nil {
			return -1, -1
		}
		return i + m[0], i + m[1]
	}
}

func nextScanner(scan scanner) func(string, int) (int, int) {
	return func(s string, i int) (int, int) {
		for i < len(s) {
			if n := scan(s[i:]); n > 0 {
				return i, i + n
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			i += n
		}
		return -1, -1
	}
}

func nextRune(is func(rune) bool, runs bool) func(string, int) (int, int) {
	return func(s string, i int) (int, int) {
		start := strings.IndexFunc(s[i:], is)
		if start < 0 {
			return -1, -1
		}
		start += i
		if !runs {
			_, n := utf8.DecodeRuneInString(s[start:])
			return start, start + n
		}
		n := strings.IndexFunc(s[start:], func(r rune) bool { return !is(r) })
		if n < 0 {
			n = len(s) - start
		}
		return start, start + n
	}
}

// punctuation reports whether the reference counts r as punctuation: ASCII punctuation
// and Unicode's category P.
func punctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r)
	}
	return unicode.In(r, unicode.P, wasPunctuation) && !unicode.Is(notPunctuation, r)
}
