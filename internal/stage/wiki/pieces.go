package wiki

import (
	"strings"
	"unicode/utf8"

	"barka/internal/segment"
	"barka/internal/wikitext"
)

// tooLong reports whether a text is beyond the bounds of a passage.
func (s *stage) tooLong(text string) bool {
	return s.o.MaxChars > 0 && utf8.RuneCountInString(text) >= s.o.MaxChars || s.o.MaxTokens > 0 && s.o.Tokens(text) > s.o.MaxTokens
}

// pieces splits the text of a section that is beyond the bounds: at paragraphs, a paragraph
// that still is beyond them at lines, and such a line at sentences. Without Split a text is one
// piece, and one without text is none.
func (s *stage) pieces(text string) []string {
	switch {
	case text == "":
		return nil
	case !s.o.Split || !s.tooLong(text):
		return []string{text}
	}
	var parts []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if !s.tooLong(paragraph) {
			parts = append(parts, paragraph)
			continue
		}
		var lines []string
		for line := range strings.SplitSeq(paragraph, "\n") {
			if s.tooLong(line) {
				lines = append(lines, s.join(sentences(line), "")...)
			} else {
				lines = append(lines, line)
			}
		}
		parts = append(parts, s.join(lines, "\n")...)
	}
	return s.join(parts, "\n\n")
}

// sentences cuts a line. What stands between two sentences belongs to the first.
func sentences(line string) (parts []string) {
	begun := false // a sentence of the last part
	for _, seg := range segment.Split(line, segment.Options{}) {
		if len(parts) == 0 || begun && seg.Translated() {
			parts = append(parts, "")
			begun = false
		}
		parts[len(parts)-1] += seg.Text
		begun = begun || seg.Translated()
	}
	return parts
}

// join puts as many parts together as the bounds allow.
func (s *stage) join(parts []string, separator string) []string {
	var pieces []string
	piece := parts[0]
	for _, part := range parts[1:] {
		if longer := piece + separator + part; !s.tooLong(longer) {
			piece = longer
			continue
		}
		pieces = append(pieces, piece)
		piece = part
	}
	pieces = append(pieces, piece)
	for i, p := range pieces {
		pieces[i] = strings.TrimRight(p, " ")
	}
	return pieces
}

// listing returns why a page is only a list of other pages, or "".
func (s *stage) listing(p *wikitext.Page) string {
	if p.Disambiguation {
		return "disambiguation"
	}
	var items, all, n int
	s.listed(p.Root, &items, &all, &n)
	if n >= minItems && float64(items) >= minItemShare*float64(all) {
		return "list_page"
	}
	return ""
}

// A page is a list if it has so many items or rows of tables, and they are so large a part
// of its text.
const (
	minItems     = 5
	minItemShare = 0.9
)

// listed counts the bytes of items and of all text, and the items, in sections that are
// not left out.
func (s *stage) listed(sec *wikitext.Section, items, all, n *int) {
	if sec.Level > 1 && s.skip[wikitext.Fold(sec.Title)] {
		return
	}
	for line := range strings.SplitSeq(sec.Text, "\n") {
		*all += len(line)
		if item(line) {
			*items += len(line)
			*n++
		}
	}
	for _, child := range sec.Children {
		s.listed(child, items, all, n)
	}
}

// item reports whether a line begins with the mark of a list or of a table's row.
func item(line string) bool {
	line = strings.TrimLeft(line, " ")
	rest := strings.TrimLeft(line, "0123456789")
	return strings.HasPrefix(line, "- ") || rest != line && strings.HasPrefix(rest, ". ")
}
