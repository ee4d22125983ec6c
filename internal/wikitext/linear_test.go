package wikitext

import (
	"strings"
	"testing"
)

// stepsPerByte bounds the bytes that the parser looks at for each byte of a page. Nested
// constructs are copied once per level, and there are maxDepth levels.
const stepsPerByte = 12 * maxDepth

// hostile are texts that make a parser with a search per mark quadratic. Each is repeated,
// alone, behind others, and as opening marks before as many closing ones.
var hostile = []string{"{{", "[[", "{|\n", "<ref>", "{{a|", "[[a|", "}}", "]]", "<math>", "''", "'''", "[http://", "[http://a b]",
	"<!--", "-->", "<nowiki>", "<ref>x<ref>", "</ref>", "<sup>", "<sup>a", "</sup>", "<b ", "<", "</", "<ref name=\"", "&", "&amp", "__",
	"__A", "{{{", "{{{a|", "\n|", "\n|-", "\n|-\n|", "\n!", "!!", "||", "|", "=", "\n==", "\n==x", "\n== x ==", "\n*", "*", "\n:;#*", "\n ",
	"(", "()", "( ", "({{x}}", "{{nowrap|", "{{convert|", "{{convert|1|", "1|", "{{#switch:", "{{#switch:a|a=", "{{#if:", "{{ubl|",
	"{{chem|H|", "{{val|1|e=", "<span style=display:none>", "{{Inflation}}", "({{Inflation}}", "a: {{x}},", ",{{x}}", "\n<!---->",
	"<!----> ", "\n\n", "<br>", "<poem>", "<li>", "<td>", "{{math|", "<sup>{{", "[[File:", "[[a:", "{|\n|-\n|", "{|\n|", "{|\n! a !! ",
	"\n|rowspan=100|", "\n|colspan=100|", "\v", "\x01", "\x02L*", "\x0e9", "ـ", "، ", "\u00a0", "<gallery>", "<pre>"}

// closers end what some of the texts above open.
var closers = map[string]string{"{{": "}}", "[[": "]]", "{|\n": "\n|}", "<ref>": "</ref>", "{{a|": "}}", "[[a|": "]]", "<sup>": "</sup>",
	"<nowiki>": "</nowiki>", "{{{": "}}}", "{{{a|": "}}}", "{{nowrap|": "}}", "{{convert|1|": "}}", "{{#switch:a|a=": "}}", "{{#if:": "|x}}",
	"{{ubl|": "}}", "{{math|": "}}", "{|\n|-\n|": "\n|}", "{|\n|": "\n|}", "[http://a ": "]", "(": ")", "<!--": "-->",
	"<span style=display:none>": "</span>", "{{chem|H|": "}}", "{|\n! a !! ": "\n|}", "{{#switch:": "}}"}

// TestWorkGrowsLinearly doubles the input for each construct and counts the bytes that the
// parser looks at, which no other process on the machine changes.
func TestWorkGrowsLinearly(t *testing.T) {
	p := english(t).parsers.New().(*parser)
	work := func(s string) int {
		p.page("", s)
		return p.steps + len(p.out)
	}
	texts := map[string]func(n int) string{}
	for _, h := range hostile {
		texts[h] = func(n int) string { return strings.Repeat(h, n) }
		texts["x "+h] = func(n int) string { return "x" + strings.Repeat(h+" y ", n) }
		texts["{{nowrap|"+h] = func(n int) string { return "{{nowrap|" + strings.Repeat(h, n) + "}}" }
	}
	for open, end := range closers {
		texts[open+"…"+end] = func(n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
		texts[open+"a"+end] = func(n int) string { return strings.Repeat(open+"a"+end, n) }
	}
	for name, text := range texts {
		const n = 600
		once, twice := work(text(n)), work(text(2*n))
		size := len(text(2 * n))
		if twice > 2*once+once/5+size+20_000 {
			t.Errorf("%q: %d steps for %d, %d for %d", name, once, n, twice, 2*n)
		}
		if twice > stepsPerByte*size+10_000 {
			t.Errorf("%q: %d steps for %d bytes", name, twice, size)
		}
	}
}

// TestMegabytePage: a page larger than those that MediaWiki stores keeps all its text.
func TestMegabytePage(t *testing.T) {
	s := strings.Repeat("Text with [[a link]] and {{convert|5|km}} in it.<ref>{{cite|a=b}}</ref>\n\n", 60_000)
	text := english(t).Text(s)
	if want := 60_000*len("Text with a link and 5 km in it.\n\n") - 2; len(text) != want {
		t.Errorf("%d bytes became %d, want %d", len(s), len(text), want)
	}
}

// TestTemplateLoops: nothing includes pages, so that no page can include itself, and
// arguments in arguments end at the depth.
func TestTemplateLoops(t *testing.T) {
	s := "{{:Page}}{{Page}}{{{a|{{{a|{{{a}}}}}}}}}" + strings.Repeat("{{nowrap|{{{1|", 100) + "x" + strings.Repeat("}}}}}", 100)
	if got := english(t).Text(s); strings.Contains(got, "{") || len(got) > len(s) {
		t.Errorf("%q", got)
	}
}
