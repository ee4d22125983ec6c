package htmlpage

import (
	"math"
	"strings"
	"testing"
)

// TestNumbers: NaN is a dash, and a difference has a sign unless it rounds to 0.
func TestNumbers(t *testing.T) {
	nan := math.NaN()
	for got, want := range map[string]string{
		Score(nan): "—", Score(12.345): "12.35", Percent(0.5): "50.00",
		Points(0.004): "0.00", Points(-0.004): "0.00", Points(1.5): "+1.50", Points(-1.5): "−1.50",
		P(0.00009): "<0.0001", P(0.04999): "0.0500",
		Cell("a|b\nc"): `a\|b c`,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for name, write := range map[string]func(float64) string{"percent": Percent, "points": Points, "p": P} {
		if write(nan) != "—" {
			t.Errorf("%s of NaN is %q", name, write(nan))
		}
	}
}

// TestPage: a page has the layout around its body, escapes what it shows, and
// loads nothing.
func TestPage(t *testing.T) {
	page := New(`{{define "title"}}T{{end}}{{define "body"}}<b>{{.}}</b> {{percent 0.25}} {{place 5.0 0.0 20.0}}{{end}}`)
	text, err := Render(page, "<script>")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!doctype html>", "<title>T</title>", "<b>&lt;script&gt;</b> 25.00 25", "</html>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, load := range []string{"src=", "<link", "@import", "url("} {
		if strings.Contains(text, load) {
			t.Errorf("the page loads: %q", load)
		}
	}
}
