package bidi

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Mode is how lines of right-to-left text are written.
type Mode int

// The modes; see the package's documentation. Plain adds nothing and reorders nothing.
const (
	Plain Mode = iota
	Isolate
	Reorder
)

// The characters that begin an isolate of a direction, and end it.
const (
	leftIsolate  = "\u2066"
	rightIsolate = "\u2067"
	endIsolate   = "\u2069"
)

// Layout is how text is laid out.
type Layout struct {
	Mode  Mode
	Width int  // cells of a line; 0 does not wrap
	Right bool // lines of right-to-left paragraphs end at the right margin; needs Width
}

// Mark gives a stretch of a text a style: the parameters of the terminal's sequence for
// it, such as 31 for red.
type Mark struct {
	Span
	Style string
}

// Lines lays out text that Safe has returned. Marks are in order and do not overlap. A
// line has no line feed.
func (l Layout) Lines(text string, marks ...Mark) (lines []string) {
	rtl, fenced, at := RightToLeft(text), false, 0
	for par := range strings.Lines(text) {
		start := at
		at += len(par)
		par = strings.TrimSuffix(par, "\n")
		p := paragraph{text: par, rtl: rtl}
		fence := strings.HasPrefix(strings.TrimSpace(par), "```")
		switch {
		case fence || fenced:
			p.rtl = false
			fenced = fenced != fence
		case strings.ContainsFunc(par, unicode.IsLetter):
			p.rtl = RightToLeft(par)
		}
		if p.rtl {
			p.spans = LeftToRight(par)
		} else if l.Mode != Plain {
			p.spans = rightToLeftRuns(par)
		}
		for _, m := range marks {
			m.Start, m.End = max(m.Start-start, 0), min(m.End-start, len(par))
			if m.Start < m.End {
				p.marks = append(p.marks, m)
			}
		}
		for _, s := range p.wrap(l.Width) {
			lines = append(lines, l.line(p, s))
		}
	}
	return lines
}

// paragraph is a line of a text before it is wrapped.
type paragraph struct {
	text  string
	rtl   bool
	spans []Span // of the other direction
	marks []Mark
}

// Width returns the number of cells of a text.
func Width(s string) int { return uniseg.StringWidth(s) }

// wrap cuts a paragraph into lines of at most width cells, at blanks where there are some.
func (p paragraph) wrap(width int) (lines []Span) {
	if width <= 0 {
		return []Span{{0, len(p.text)}}
	}
	start, cells := 0, 0 // of the line
	blank := -1          // the end of the last blank in it
	afterBlank := 0      // cells up to there
	state, rest := -1, p.text
	for len(rest) > 0 {
		at := len(p.text) - len(rest)
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		for cells+w > width && at > start && cluster != " " { // twice if what follows the blank is as wide as the line
			cut := at
			if blank > start {
				cut = blank
				cells -= afterBlank
			} else {
				cells = 0
			}
			lines = append(lines, Span{start, cut})
			start, blank, afterBlank = cut, -1, 0
		}
		cells += w
		if cluster == " " {
			blank, afterBlank = at+1, cells
		}
	}
	return append(lines, Span{start, len(p.text)})
}

// line writes one line of a paragraph.
func (l Layout) line(p paragraph, s Span) string {
	for s.End > s.Start && p.text[s.End-1] == ' ' {
		s.End--
	}
	if s.End == s.Start {
		return ""
	}
	var w styled
	cells := 0
	switch {
	case l.Mode == Reorder:
		for _, c := range p.visual(s) {
			w.write(c.text, p.style(c.at))
			cells += Width(c.text)
		}
	case l.Mode == Isolate && (p.rtl || len(within(p.spans, s)) > 0):
		p.isolated(&w, s)
	default:
		p.pieces(&w, s)
	}
	if !p.rtl || !l.Right {
		return w.end()
	}
	if cells == 0 {
		cells = Width(p.text[s.Start:s.End])
	}
	return strings.Repeat(" ", max(0, l.Width-cells)) + w.end()
}

// isolated writes a line in an isolate, and its spans of the other direction in isolates
// inside it. A first-strong isolate would take a line for left-to-right text whose first
// word after the break happens to be Latin.
func (p paragraph) isolated(w *styled, s Span) {
	outer, inner := leftIsolate, rightIsolate
	if p.rtl {
		outer, inner = inner, outer
	}
	w.write(outer, "")
	at := s.Start
	for _, span := range within(p.spans, s) {
		p.pieces(w, Span{at, span.Start})
		w.write(inner, "")
		p.pieces(w, span)
		w.write(endIsolate, "")
		at = span.End
	}
	p.pieces(w, Span{at, s.End})
	w.write(endIsolate, "")
}

// pieces writes text in logical order, in the styles of its marks.
func (p paragraph) pieces(w *styled, s Span) {
	for s.Start < s.End {
		end, style := s.End, ""
		for _, m := range p.marks {
			if m.Start <= s.Start && s.Start < m.End {
				end, style = min(end, m.End), m.Style
			} else if m.Start > s.Start {
				end = min(end, m.Start)
			}
		}
		w.write(p.text[s.Start:end], style)
		s.Start = end
	}
}

// style returns the style at a byte of the paragraph.
func (p paragraph) style(at int) string {
	for _, m := range p.marks {
		if m.Start <= at && at < m.End {
			return m.Style
		}
	}
	return ""
}

// within returns the parts of spans that are inside s.
func within(spans []Span, s Span) (out []Span) {
	for _, span := range spans {
		span.Start, span.End = max(span.Start, s.Start), min(span.End, s.End)
		if span.Start < span.End {
			out = append(out, span)
		}
	}
	return out
}

// styled collects text with the terminal's sequences for its styles.
type styled struct {
	b     strings.Builder
	style string
}

func (w *styled) write(text, style string) {
	if style != w.style {
		if w.style != "" {
			w.b.WriteString("\x1b[0m")
		}
		if style != "" {
			w.b.WriteString("\x1b[" + style + "m")
		}
		w.style = style
	}
	w.b.WriteString(text)
}

func (w *styled) end() string {
	w.write("", "")
	return w.b.String()
}
