package htmlpage

import (
	"html/template"
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
	page := New(`{{define "title"}}T{{end}}{{define "style"}}td { color: red; }{{end}}{{define "body"}}<b>{{.Title}}</b>
{{percent 0.25}} {{place 5.0 0.0 20.0}} {{twice 4}} {{template "table" .}}{{end}}`,
		template.FuncMap{"twice": func(n int) int { return 2 * n }})
	text, err := Render(page, Table{Title: "<script>", Headers: []string{"a&b"}, Rows: [][]any{{"x", "-1.5", 2}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!doctype html>", "<title>T</title>", "td { color: red; }\n</style>", "<b>&lt;script&gt;</b>\n25.00 25 8",
		"<th>a&amp;b</th>", `<td><bdi dir="ltr">x</bdi></td><td class="n">-1.5</td><td class="n">2</td>`, "</html>"} {
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

// TestText: code and Latin words in right-to-left text are isolated, left-to-right text in a
// right-to-left element is isolated as a whole, and nothing is markup or a hidden character.
func TestText(t *testing.T) {
	for _, c := range []struct{ dir, text, want string }{
		{"ltr", "plain <b>", "plain &lt;b&gt;"},
		{"rtl", "اكتب `go test` هنا", "اكتب <bdi class=\"code\" dir=\"ltr\">`go test`</bdi> هنا"},
		{"rtl", "نظام Linux حر", `نظام <bdi dir="ltr">Linux</bdi> حر`},
		{"rtl", "x < y", `<bdi dir="ltr">x &lt; y</bdi>`},
		{"auto", "x", "x"},
		{"ltr", "a\u202eb", `a\u202eb`},
		{"rtl", "", ""},
	} {
		if got := string(Text(c.dir, c.text)); got != c.want {
			t.Errorf("Text(%q, %q) = %s, want %s", c.dir, c.text, got, c.want)
		}
	}
	if Direction("مرحبا بالعالم x") != "rtl" || Direction("hello مرحبا") != "ltr" || Direction("12") != "ltr" {
		t.Error("directions")
	}
}

// TestNumbersOfColumns: a column of numbers, and of texts or nothing.
func TestNumbersOfColumns(t *testing.T) {
	table := Table{Headers: []string{"a", "b", "c"}, Rows: [][]any{{"x", 1, ""}, {2, "2.5", ""}}}
	if table.Numbers(0) || !table.Numbers(1) || table.Numbers(2) || table.Numbers(3) {
		t.Error("columns of numbers")
	}
}
