package segment

import (
	"regexp"
	"strings"
)

// mark is the marker at the beginning of a line.
type mark struct {
	end  int  // 0 for none
	kind Kind // of what follows
}

var (
	quotation = regexp.MustCompile(`^\s*(?:>\s*)+`)
	heading   = regexp.MustCompile(`^\s*#{1,6}\s+`)
	bullet    = regexp.MustCompile(`^\s*[-*+•–‣◦▪]\s+(?:\[[ xX]\]\s+)?`)
	number    = regexp.MustCompile(`^\s*(?:\(?[\d٠-٩۰-۹]{1,3}[.)]|\d{1,2}(?:\.\d{1,2}){1,3}\.|\d{1,2}(?:\.\d{1,2}){2,3})\s+`)
	roman     = regexp.MustCompile(`^\s*\(?(?:[ivx]{2,5}|[IVX]{2,5})[.)]\s+`)
	lettered  = regexp.MustCompile(`^\s*(?:\([A-Za-z]\)|[A-Za-z]\)|\[[A-Za-z]\]|\(?[أ-ي]\)|[أبتثجدهوزح][.\-])\s*`)
	dotted    = regexp.MustCompile(`^\s*([A-Za-z])\.\s+`)
)

// marker finds the markers that a line begins with: quotation signs, and then those of a
// heading, a list item or an option.
func (w *splitter) marker(line string) mark {
	m := mark{kind: Sentence}
	m.end = len(quotation.FindString(line))
	for _, c := range []struct {
		pattern *regexp.Regexp
		kind    Kind
	}{{heading, Heading}, {bullet, Item}, {number, Item}, {roman, Item}, {lettered, Option}} {
		if n := len(c.pattern.FindString(line[m.end:])); n > 0 && (c.kind != Option || spaced(line[m.end:], n)) {
			m.end += n
			if m.kind == Sentence {
				m.kind = c.kind
			}
		}
	}
	if d := dotted.FindStringSubmatchIndex(line[m.end:]); d != nil {
		if rest := line[m.end+d[1]:]; w.lone.option(line[m.end+d[2]], rest) {
			m.end += d[1]
			if m.kind == Sentence {
				m.kind = Option
			}
		}
	}
	if strings.TrimSpace(line[m.end:]) == "" && m.kind != Sentence && m.kind != Heading {
		return mark{kind: Sentence} // A) alone is a text
	}
	return m
}

// spaced reports whether the label of n bytes is apart from what follows: by a space, or
// by its bracket before a capital or another script.
func spaced(s string, n int) bool {
	label := s[:n]
	if n == len(s) || strings.TrimRight(label, " \t") != label {
		return true
	}
	next := s[n]
	return next >= 'A' && next <= 'Z' || next >= 0x80
}

// letters are the letters with a full stop that lines of a text begin with.
type letters map[byte]bool

func loneLetters(lines []string) letters {
	var l letters
	for _, line := range lines {
		if m := dotted.FindStringSubmatch(line); m != nil {
			if l == nil {
				l = letters{}
			}
			l[m[1][0]] = true
		}
	}
	return l
}

var initial = regexp.MustCompile(`^[A-Z]\.\s`)

// option reports whether a letter with a full stop is an option's label and not an
// initial: another line has the letter before or after it, or it is one of the first five
// and no other initial follows.
func (l letters) option(c byte, rest string) bool {
	switch {
	case c >= 'a' && c <= 'z', l[c-1], l[c+1]:
		return true
	case c > 'E':
		return false
	}
	return !initial.MatchString(rest)
}

// inline finds labels of options that follow each other in one line: (A) … (B) …,
// 1. … 2. …, Answer1: … Answer2: ….
var inline = regexp.MustCompile(`(?:^|\s)((?:\(?([A-Z1-9])[.)]|([A-Z][a-z]+) ?([1-9]):))\s`)

// label is one of them.
type label struct {
	start, end int
	word       bool // Answer1:
}

// enumerated ends what precedes a label of an enumeration within a sentence.
var enumerated = regexp.MustCompile(`(?:[;,]|\b(?:and|or|und|et))\s*$`)

// labels returns the labels of options in a line: at least two, which count from A or 1. An
// enumeration within a sentence, (1) …; (2) …, has none.
func labels(s string) (found []label) {
	var name string
	for at := 0; at < len(s); {
		m := inline.FindStringSubmatchIndex(s[at:])
		if m == nil {
			break
		}
		group := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return s[at+m[2*n] : at+m[2*n+1]]
		}
		text, ordinal := group(1), group(2)+group(4)
		style := strings.Replace(text, ordinal, "", 1)
		switch {
		case len(found) > 0 && style == name && follows(ordinal[0], len(found)):
			if before := s[:at+m[2]]; enumerated.MatchString(before[max(0, len(before)-longestAbbreviation):]) {
				return nil
			}
			found = append(found, label{at + m[2], at + m[3], group(3) != ""})
		case len(found) < 2 && (ordinal == "A" || ordinal == "1"):
			found, name = []label{{at + m[2], at + m[3], group(3) != ""}}, style
		}
		at += m[3]
	}
	if len(found) < 2 {
		return nil
	}
	return found
}

func follows(ordinal byte, n int) bool { return ordinal == 'A'+byte(n) || ordinal == '1'+byte(n) }

// options cuts a line at the labels of options in it.
func (w *splitter) options(s stretch, kind Kind) {
	from := 0
	for _, l := range labels(s.text) {
		if inside(s.spans, l) {
			continue
		}
		w.fields(s.slice(from, l.start), kind)
		if l.word {
			w.sentence(s.slice(l.start, l.end), Label)
		} else {
			w.keep(s.text[l.start:l.end], Marker)
		}
		from, kind = l.end, Option
	}
	w.fields(s.slice(from, len(s.text)), kind)
}

// inside reports whether a span other than the label itself covers a part of it.
func inside(spans []Protected, l label) bool {
	for _, p := range spans {
		if p.Start < l.end && p.End > l.start && (p.Start < l.start || p.End > l.end) {
			return true
		}
	}
	return false
}
