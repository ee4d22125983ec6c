// Package htmlpage lays out reports about evaluations: HTML pages, their tables,
// and the numbers in them. A page is one file that loads nothing else. It follows
// the reader's light or dark setting and holds text of either direction.
package htmlpage

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"barka/internal/printable"
)

//go:embed page.html
var layout string

// New parses a page. The text defines the templates "title" and "body", and may define
// "style", more rules for the style sheet, and "scripts", the sources of scripts that the
// page's content security policy allows. By default it allows none, and no requests. The text
// can use the template "table" for a Table, and the given functions.
func New(text string, functions ...template.FuncMap) *template.Template {
	t := template.New("page").Funcs(template.FuncMap{"score": Score, "percent": Percent, "points": Points, "p": P,
		"known": known, "place": place, "span": span, "text": Text, "direction": Direction,
		"neg": func(f float64) float64 { return -f }, "number": IsNumber})
	for _, f := range functions {
		t.Funcs(f)
	}
	return template.Must(template.Must(t.Parse(layout)).Parse(text))
}

// Render executes a page. In a page without scripts, characters that act on the text around them
// are shown as escapes, wherever they come from. Scripts do that by themselves.
func Render(t *template.Template, data any) (string, error) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "page", data); err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	if text := b.String(); strings.Contains(text, "<script") { // texts are escaped: it is one of the template's
		return text, nil
	}
	return printable.Text(b.String()), nil
}

// Score writes a score in percent, or a dash for NaN, which stands for unknown.
func Score(f float64) string {
	if math.IsNaN(f) {
		return "—"
	}
	return fmt.Sprintf("%.2f", f)
}

// Percent writes a share from 0 to 1 as a score.
func Percent(f float64) string { return Score(100 * f) }

// Points writes a difference of scores in percent, with its sign, or a dash for
// NaN.
func Points(f float64) string {
	if math.IsNaN(f) {
		return "—"
	}
	s := fmt.Sprintf("%+.2f", f)
	if s == "-0.00" || s == "+0.00" {
		return "0.00"
	}
	return strings.Replace(s, "-", "−", 1)
}

// P writes a probability, or a dash for NaN.
func P(f float64) string {
	switch {
	case math.IsNaN(f):
		return "—"
	case f < 0.0001:
		return "<0.0001"
	}
	return fmt.Sprintf("%.4f", f)
}

func known(f float64) bool { return !math.IsNaN(f) }

// place is the position of a value between low and high, in percent of the way.
func place(value, low, high float64) float64 {
	return min(100, max(0, 100*(value-low)/(high-low)))
}

// span is the distance between two values, in percent of low to high.
func span(a, b, low, high float64) float64 {
	return math.Abs(place(a, low, high) - place(b, low, high))
}
