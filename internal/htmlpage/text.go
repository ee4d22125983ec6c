package htmlpage

import (
	"html/template"
	"strings"
	"unicode"

	"barka/internal/bidi"
)

// Text formats a text of either direction for an element with white-space: pre-wrap. Code,
// formulas, addresses and Latin words inside right-to-left text are isolated, so that they do
// not reorder the words around them. Characters that act on the text around them are shown as
// escapes. dir is the direction of the element: ltr, rtl, or auto.
func Text(dir, text string) template.HTML {
	safe := bidi.Safe(text)
	rtl, spans := bidi.Isolated(safe)
	if !rtl && dir == "rtl" && strings.ContainsFunc(safe, unicode.IsLetter) {
		spans = []bidi.Span{{Start: 0, End: len(safe)}}
	}
	var b strings.Builder
	at := 0
	for _, s := range spans {
		b.WriteString(template.HTMLEscapeString(safe[at:s.Start]))
		part := safe[s.Start:s.End]
		class := ""
		if rtl && strings.ContainsAny(part[:1], "`$\\<") {
			class = ` class="code"`
		}
		b.WriteString("<bdi" + class + ` dir="ltr">` + template.HTMLEscapeString(part) + "</bdi>")
		at = s.End
	}
	b.WriteString(template.HTMLEscapeString(safe[at:]))
	return template.HTML(b.String())
}

// Direction returns ltr or rtl, by the script of most letters of a text.
func Direction(text string) string {
	if bidi.RightToLeft(text) {
		return "rtl"
	}
	return "ltr"
}
