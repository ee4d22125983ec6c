// Package segment cuts a text into segments that a sentence-level translation model can
// take, and into the structure between them that must survive: line breaks, list markers,
// option labels, blocks of code, table rows. Code, formulas, addresses and markup inside a
// sentence stay there as protected spans, which stand as placeholders in the text that the
// model reads. The segments' texts, put together, are the text again, whatever it is.
package segment

import (
	"sort"
	"strings"
)

// Kind is what a segment is in its text.
type Kind string

// Kinds of segments that are translated.
const (
	Sentence Kind = "sentence" // of running text
	Item     Kind = "item"     // after a list marker
	Option   Kind = "option"   // after an option label, such as A) or (3)
	Label    Kind = "label"    // in words, of an option: Answer1:
	Heading  Kind = "heading"
	Cell     Kind = "cell"   // of a table
	Clause   Kind = "clause" // of a sentence that is too long
	Part     Kind = "part"   // between the protected spans of a sentence
	Whole    Kind = "whole"  // a message that is not cut
)

// Kinds of segments that are kept.
const (
	Blank  Kind = "blank"  // white space and control characters
	Marker Kind = "marker" // of a list item, an option, a heading or a quotation
	Code   Kind = "code"   // lines of code or of a formula
	Rule   Kind = "rule"   // between the cells of a table
	Span   Kind = "span"   // protected, with no sentence around it
	Symbol Kind = "symbol" // numbers, punctuation, a lone letter, a unit
	Native Kind = "native" // already in the target's script
)

// Cuts lists the kinds of segments that Split gives a translator.
func Cuts() []Kind { return []Kind{Sentence, Clause, Heading, Item, Option, Label, Cell} }

// Segment is a stretch of the text: to be translated, or kept as it is.
type Segment struct {
	Text  string
	Kind  Kind
	Spans []Protected // of a text to be translated; in order, without overlap
}

// Translated reports whether the segment is to be translated.
func (s Segment) Translated() bool {
	switch s.Kind {
	case Sentence, Item, Option, Label, Heading, Cell, Clause, Part, Whole:
		return true
	}
	return false
}

// Plain returns the text without its protected spans.
func (s Segment) Plain() string {
	var b strings.Builder
	done := 0
	for _, p := range s.Spans {
		b.WriteString(s.Text[done:p.Start])
		done = p.End
	}
	b.WriteString(s.Text[done:])
	return b.String()
}

// Split cuts a text. Join(Split(s)) == s for every string.
func Split(s string, o Options) []Segment {
	w := &splitter{o: o}
	w.blocks(s)
	return w.segments
}

// Join puts segments together.
func Join(segments []Segment) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// splitter cuts a text from its beginning to its end.
type splitter struct {
	o        Options
	segments []Segment
	lone     letters // labels of the text that are letters with a full stop
	code     codeSpans
}

// keep adds text that is kept. A space joins the white space before it.
func (w *splitter) keep(s string, kind Kind) {
	if s != "" {
		w.segments = append(w.segments, Segment{Text: s, Kind: kind})
	}
}

// stretch is a part of a line with the protected spans in it. Both strings have the same
// length.
type stretch struct {
	text  string
	mask  string      // the text with neutral characters in place of the spans
	spans []Protected // relative to text
}

// slice returns a part of a stretch, which cuts through no span of valid text.
func (s stretch) slice(from, to int) stretch {
	first := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].Start >= from })
	out := stretch{text: s.text[from:to], mask: s.mask[from:to]}
	for _, p := range s.spans[first:] {
		if p.Start >= to {
			break
		}
		// Boundaries of words and sentences in bytes that are no UTF-8 may lie within a span.
		p.Start, p.End = p.Start-from, min(p.End, to)-from
		out.spans = append(out.spans, p)
	}
	return out
}
