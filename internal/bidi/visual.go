package bidi

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	unibidi "golang.org/x/text/unicode/bidi"
)

// rightToLeftRuns returns the stretches of a left-to-right line that are read from right
// to left: from a right-to-left letter or an Arabic digit to the last letter or number before one that is
// left-to-right.
func rightToLeftRuns(line string) (spans []Span) {
	var run Span
	flush := func() {
		if run.End > run.Start {
			spans = append(spans, run)
		}
		run = Span{}
	}
	for i, r := range line {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(line[i:])
		}
		switch class(r) {
		case unibidi.R, unibidi.AL, unibidi.AN:
			if run.End == 0 {
				run.Start = i
			}
			run.End = i + n
		case unibidi.EN, unibidi.NSM:
			if run.End > 0 {
				run.End = i + n
			}
		case unibidi.L:
			flush()
		}
	}
	flush()
	return spans
}

// cluster is a grapheme cluster with its place in the paragraph.
type cluster struct {
	text string
	at   int
}

// visual returns the clusters of a line from left to right.
func (p paragraph) visual(s Span) []cluster {
	spans := within(p.spans, s)
	if p.rtl {
		return rightToLeft(p.text, s, spans)
	}
	var out []cluster
	at := s.Start
	for _, span := range spans {
		out = append(out, clusters(p.text, Span{at, span.Start})...)
		out = append(out, rightToLeft(p.text, span, inside(p.text, span))...)
		at = span.End
	}
	return append(out, clusters(p.text, Span{at, s.End})...)
}

// inside returns the left-to-right stretches of a stretch.
func inside(text string, s Span) (spans []Span) {
	for _, span := range LeftToRight(text[s.Start:s.End]) {
		spans = append(spans, Span{span.Start + s.Start, span.End + s.Start})
	}
	return spans
}

// stand stands for a left-to-right stretch while the text around it is ordered. The
// algorithm treats it as neutral, as it treats an isolate.
const stand = '\ufffc'

// rightToLeft orders a stretch of right-to-left text, which contains the given stretches
// of left-to-right text.
func rightToLeft(text string, s Span, spans []Span) (out []cluster) {
	var order strings.Builder // what the algorithm sees: one character for each unit
	var units [][]cluster
	add := func(cs []cluster) {
		for _, c := range cs {
			r, _ := utf8.DecodeRuneInString(c.text)
			order.WriteRune(r)
			units = append(units, []cluster{c})
		}
	}
	at, stands := s.Start, map[int]bool{}
	for _, span := range spans {
		add(joined(clusters(text, Span{at, span.Start})))
		order.WriteRune(stand)
		stands[len(units)] = true
		units = append(units, clusters(text, span))
		at = span.End
	}
	add(joined(clusters(text, Span{at, s.End})))
	for _, u := range ordered(order.String(), len(units)) {
		cs := units[u.at]
		if u.backwards && !stands[u.at] {
			cs = []cluster{{mirrored(cs[0].text), cs[0].at}}
		}
		out = append(out, cs...)
	}
	return out
}

// place is a character of a line in visual order.
type place struct {
	at        int
	backwards bool // in a run from right to left
}

// ordered returns the places of the n characters of a right-to-left line from left to
// right. The library gives runs in logical order. In such a line no level is above 2, so
// that the visual order is the runs from the last to the first, those of numbers forwards
// and the others backwards.
func ordered(line string, n int) (out []place) {
	var p unibidi.Paragraph
	if _, err := p.SetString(line, unibidi.DefaultDirection(unibidi.RightToLeft)); err != nil {
		return inOrder(n)
	}
	o, err := p.Order()
	if err != nil {
		return inOrder(n)
	}
	for i := o.NumRuns() - 1; i >= 0; i-- {
		run := o.Run(i)
		first, last := run.Pos()
		if run.Direction() == unibidi.LeftToRight {
			for at := first; at <= last; at++ {
				out = append(out, place{at, false})
			}
			continue
		}
		for at := last; at >= first; at-- {
			out = append(out, place{at, true})
		}
	}
	if len(out) != n {
		return inOrder(n)
	}
	return out
}

func inOrder(n int) (out []place) {
	for at := range n {
		out = append(out, place{at, false})
	}
	return out
}

func clusters(text string, s Span) (out []cluster) {
	rest, state, at := text[s.Start:s.End], -1, s.Start
	for len(rest) > 0 {
		var c string
		c, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		out = append(out, cluster{c, at})
		at += len(c)
	}
	return out
}

// pairs are characters that change sides in right-to-left text.
const pairs = "()[]{}<>«»‹›≤≥"

func mirrored(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	i := strings.IndexRune(pairs, r)
	if i < 0 {
		return s
	}
	index := utf8.RuneCountInString(pairs[:i]) ^ 1
	return string([]rune(pairs)[index]) + s[n:]
}
