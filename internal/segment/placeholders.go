package segment

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/prose"
)

// Form is how a placeholder is written: a number between two marks. The zero value means
// that no placeholder survives the translator.
type Form struct{ Before, After string }

// Forms are the placeholders that are tried, best first; docs/translation.md has the measurement.
var Forms = []Form{{"#", "#"}, {"<", ">"}, {"@", "@"}, {"XX", "XX"}, {"__", "__"}, {"[", "]"}, {"{", "}"}}

// String returns the first placeholder, or "none".
func (f Form) String() string {
	if f == (Form{}) {
		return "none"
	}
	return f.write(1)
}

func (f Form) write(n int) string { return f.Before + strconv.Itoa(n) + f.After }

// Survives returns the first form that comes back from encode and decode as it was.
func Survives(roundTrip func(string) string) Form {
	for _, f := range Forms {
		if f.survives(roundTrip) {
			return f
		}
	}
	return Form{}
}

func (f Form) survives(roundTrip func(string) string) bool {
	for n := 1; n <= 12; n++ {
		s := "the " + f.write(n) + " and"
		if roundTrip(s) != s {
			return false
		}
	}
	return true
}

// first returns the number of a segment's first placeholder: 1, or a number above those
// of the text's own placeholders.
func (f Form) first(s Segment) int {
	n, done := 1, 0
	look := func(text string) {
		for _, p := range f.find(text) {
			if p.n < 1<<30 {
				n = max(n, p.n+1)
			}
		}
	}
	for _, p := range s.Spans {
		look(s.Text[done:p.Start])
		done = p.End
	}
	look(s.Text[done:])
	return n
}

// Mask returns the text of a segment with placeholders in place of its spans.
func (f Form) Mask(s Segment) string {
	if len(s.Spans) == 0 || f == (Form{}) {
		return s.Text
	}
	var b strings.Builder
	n, done := f.first(s), 0
	for i, p := range s.Spans {
		b.WriteString(s.Text[done:p.Start])
		b.WriteString(f.write(n + i))
		done = p.End
	}
	b.WriteString(s.Text[done:])
	return b.String()
}

// Holds reports whether the spans of a segment can be put back into its masked text. They
// cannot if the text around a span looks like the beginning of a placeholder.
func (f Form) Holds(s Segment) bool {
	u := f.Unmask(s, f.Mask(s), nil)
	return f != (Form{}) && len(u.Problems) == 0 && u.Text == s.Text
}

// Problem is why a translation's placeholders are not those of its segment.
type Problem string

const (
	Lost     Problem = "span_lost"
	Doubled  Problem = "span_doubled"
	Invented Problem = "span_invented"
	Crossed  Problem = "span_crossed" // a closing one comes before its opening one
)

// Unmasked is a translation with the spans put back.
type Unmasked struct {
	Text     string
	Plain    string    // the text without the spans
	Problems []Problem // empty if every span is there once
}

// Unmask puts the spans of a segment back into the translation of its masked text. edit
// changes the translated text between them; nil leaves it.
func (f Form) Unmask(s Segment, translation string, edit func(string) string) Unmasked {
	var u Unmasked
	if edit == nil {
		edit = func(s string) string { return s }
	}
	if len(s.Spans) == 0 {
		u.Text = edit(translation)
		u.Plain = u.Text
		return u
	}
	first := f.first(s)
	found := f.find(translation)
	place := make([]int, len(s.Spans))
	var text, plain strings.Builder
	trim, done, order := false, 0, 0
	write := func(part string) {
		if trim {
			part = strings.TrimLeft(part, " ")
		}
		part, trim = edit(part), false
		text.WriteString(part)
		plain.WriteString(part)
	}
	for _, p := range found {
		i := p.n - first
		if i < 0 || i >= len(s.Spans) {
			// The text may have the like of it itself.
			if !strings.Contains(s.Text, translation[p.start:p.end]) {
				u.add(Invented)
			}
			continue
		}
		order++
		if place[i] > 0 {
			u.add(Doubled)
		}
		place[i] = order
		span := s.Spans[i]
		part := translation[done:p.start]
		if span.Role == Close && !spaceBefore(s.Text, span.Start) {
			part = strings.TrimRight(part, " ")
		}
		write(part)
		text.WriteString(s.Text[span.Start:span.End])
		trim = span.Role == Open && !spaceAfter(s.Text, span.End)
		done = p.end
	}
	write(translation[done:])
	if slices.Contains(place, 0) {
		u.add(Lost)
	}
	for i, j := range partners(s.Spans) {
		if j > i && place[i] > place[j] {
			u.add(Crossed)
		}
	}
	u.Text, u.Plain = text.String(), plain.String()
	return u
}

func (u *Unmasked) add(p Problem) {
	if !slices.Contains(u.Problems, p) {
		u.Problems = append(u.Problems, p)
	}
}

func spaceBefore(s string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return i == 0 || unicode.IsSpace(r)
}

func spaceAfter(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return i == len(s) || unicode.IsSpace(r)
}

// placeholder is one in a text.
type placeholder struct{ start, end, n int }

// longestNumber bounds the digits of a placeholder, so that its number fits into an int.
const longestNumber = 18

// find returns the placeholders of a text. Spaces inside one, and digits of another
// script, are what translators make of it.
func (f Form) find(s string) (found []placeholder) {
	if f == (Form{}) {
		return nil
	}
	for at := 0; ; {
		i := strings.Index(s[at:], f.Before)
		if i < 0 {
			return found
		}
		start := at + i
		at = start + 1
		n, end, digits := 0, start+len(f.Before), 0
		end += len(s[end:]) - len(strings.TrimLeft(s[end:], " "))
		for digits <= longestNumber {
			r, size := utf8.DecodeRuneInString(s[end:])
			d, ok := prose.Digit(r)
			if !ok {
				break
			}
			n, digits, end = 10*n+int(d), digits+1, end+size
		}
		end += len(s[end:]) - len(strings.TrimLeft(s[end:], " "))
		if digits == 0 || digits > longestNumber || !strings.HasPrefix(s[end:], f.After) {
			continue
		}
		end += len(f.After)
		found = append(found, placeholder{start, end, n})
		at = end
	}
}

// Smaller cuts a segment that is to be translated into smaller ones: what is between its
// protected spans, which are kept, or its clauses. It returns nil for a short sentence.
func Smaller(s Segment, o Options) []Segment {
	if len(s.Spans) > 0 {
		return around(s, o)
	}
	words := 0
	for range strings.FieldsSeq(s.Text) {
		words++
	}
	if o.Count == nil || words < shortestCut {
		return nil
	}
	o.MaxTokens = max(o.Count(s.Text)*2/3, 1)
	w := &splitter{o: o}
	w.translate(stretch{text: s.Text, mask: s.Text}, s.Kind)
	if len(w.segments) < 2 {
		return nil
	}
	return w.segments
}

// shortestCut is the number of words of the shortest sentence that Smaller cuts at clauses.
const shortestCut = 8

// around cuts a segment at its spans, and keeps them: what is between them is translated
// by itself.
func around(s Segment, o Options) []Segment {
	w := &splitter{o: o}
	done := 0
	for _, p := range s.Spans {
		w.part(s.Text[done:p.Start])
		w.keep(s.Text[p.Start:p.End], Span)
		done = p.End
	}
	w.part(s.Text[done:])
	return w.segments
}

// part takes what is between two spans. Marks that belong to the spans are kept: commas,
// full stops and closing brackets after the one before, opening brackets before the next.
func (w *splitter) part(text string) {
	core := strings.TrimLeft(text, ")]}»”,.;:!?،؛؟")
	w.keep(text[:len(text)-len(core)], Symbol)
	text = core
	if core = strings.TrimRight(text, "([{«“"); core == strings.TrimRightFunc(core, unicode.IsSpace) {
		core = text // a bracket right behind a word is part of it, as in f(x)
	}
	w.sentence(stretch{text: core, mask: core}, Part)
	w.keep(text[len(core):], Symbol)
}
