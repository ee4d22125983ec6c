package wikitext

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"barka/internal/testfiles"
)

// english renders pages of the English Wikipedia.
func english(t testing.TB, namespaces ...string) *Wiki {
	t.Helper()
	return New(Options{Language: "en", Namespaces: namespaces})
}

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"'''Bold''' and ''italic'' and '''''both'''''.", "Bold and italic and both."},
		{"A [[link]], a [[target|label]], a [[Paris (city)|]] and [[:Category:X]].", "A link, a label, a Paris and Category:X."},
		{"[[File:a.jpg|thumb|A [[nested]] caption]]Text [[Category:Z]][[ar:س]]end", "Text end"},
		{"[[ملف:a.jpg|تصغير|شرح]]نص [[تصنيف:أ]]", "نص"},
		{"See [http://x.org the site] and [http://y.org].", "See the site and."},
		{"A fact.<ref>Source {{cite|x}}</ref> More.<ref name=a/> End<ref name=\"b\" group=\"n\">y</ref>.", "A fact. More. End."},
		{"{{Infobox|a=1|b={{nested|[[x|y]]}}}}Start", "Start"},
		{"{{lang|ar|قلم}} ({{transl|ar|qalam}}; {{IPA|/q/}}) is a pen", "قلم (qalam; /q/) is a pen"},
		{"Cairo ({{lang-ar|القاهرة}}, {{audio|x.ogg}}) is", "Cairo (Arabic: القاهرة) is"},
		{"He ({{audio|x}}) ran", "He ran"},
		{"{{convert|100|km|mi}} and {{convert|3|-|5|kg}} and {{cvt|20|C}}", "100 km and 3–5 kg and 20 °C"},
		{"{{circa|1050}} and {{c.|1|2}}", "c. 1050 and c. 1 – c. 2"},
		{"{{As of|2020|5}}, it", "As of May 2020, it"},
		{"Before\n{| class=x\n|-\n| cell {{t|a}}\n|}\nAfter", "Before\n\ncell\n\nAfter"},
		{"* one\n* two\n# three\n: indented\n; term", "- one\n- two\n1. three\nindented\nterm"},
		{"a&nbsp;b &amp; c &ndash; d", "a b & c – d"},
		{"<nowiki>[[not a link]] '''x'''</nowiki>", "[[not a link]] '''x'''"},
		{"The area is <math>\\pi r^{2}</math>.", `The area is \(\pi r^{2}\).`},
		{"x <!-- hidden {{ --> y", "x y"},
		{"line<br/>break", "line\nbreak"},
		{"__NOTOC__ text", "text"},
		{"{{{param|default}}} unclosed {{template [[link", "unclosed template link"},
		{"a }} b ]] c |} d", "a }} b ]] c |} d"},
		{"<gallery>\nA.jpg|x\n</gallery>done", "done"},
	} {
		got := english(t).Text(c.in)
		if c.in == "a }} b ]] c |} d" || strings.HasPrefix(c.in, "{{{param") {
			if strings.Contains(got, "{{") {
				t.Errorf("%q: %q still has an opening mark", c.in, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

// TestNamespacesOfTheWiki: links into the wiki's own namespaces show nothing,
// however their names are written; others show their text.
func TestNamespacesOfTheWiki(t *testing.T) {
	const in = "Teksts [[Fails:a.jpg|thumb|[[x]] puscele]][[kategoreja:Piļsātys]][[KATEGOREJA : " +
		"B]][[Attēls:b.SVG|thumb|c]][[category:C]][[Galery files:d|e]][[Galery_files:d|e]] i [[Lītuotuojs:Anna|Anna]], [[:Kategoreja:D]]."
	if got, want := english(t, "Fails", "Kategoreja", "Galery_files").Text(in), "Teksts i Anna, Kategoreja:D."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := english(t).Text("[[Kategoreja:A]]"), "Kategoreja:A"; got != want {
		t.Errorf("without the wiki's names: %q, want %q", got, want)
	}
}

func TestTree(t *testing.T) {
	root := english(t).Parse("", "Lead.\n\n== A ==\nText a.\n=== A1 ===\nText a1.\n==== Deep ====\nx\n== B ==\nText b.\n"+
		"==== Skipped ====\ny").Root
	if root.Text != "Lead." || len(root.Children) != 2 {
		t.Fatalf("root %+v", root)
	}
	a, b := root.Children[0], root.Children[1]
	if a.Title != "A" || a.Text != "Text a." || a.Children[0].Title != "A1" || a.Children[0].Children[0].Text != "x" {
		t.Errorf("A: %+v", a)
	}
	if b.Children[0].Title != "Skipped" || b.Children[0].Text != "y" {
		t.Errorf("B: %+v", b)
	}
}

func TestRedirect(t *testing.T) {
	for in, want := range map[string]string{"#REDIRECT [[Cairo]]": "Cairo", "#redirect: [[A b#c|d]]": "A b",
		"#تحويل [[القاهرة]]": "القاهرة", "Text": ""} {
		if got, ok := Redirect(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v", in, got, ok)
		}
	}
}

// TestRealPages: nothing of the markup is left of genuine articles.
func TestRealPages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testfiles.Shared(t, "wiki", "wikitext"), "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no texts", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text := english(t).Text(string(data))
		if len(text) < 50 {
			t.Errorf("%s: only %d bytes of text", f, len(text))
		}
		for _, mark := range []string{"{{", "}}", "[[", "]]", "<ref", "'''", "{|", "|}", "&nbsp;", "( ", " )", "()", " ,"} {
			if i := strings.Index(text, mark); i >= 0 {
				t.Errorf("%s: %q left in %q", filepath.Base(f), mark, text[max(0, i-60):min(len(text), i+60)])
			}
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"{{a|b={{c}}}}", "[[a|b]]", "{|\n|}", "== x ==", "<ref>x</ref>",
		"{{convert|1|km}}", "''x''", "<ref>\xff\xff\xff\xff\xff\xff</ref", "İ\xff<REF>x</Ref>",
		"{{" + strings.Repeat("\xff", 150) + " a|b}}", "{{convert|5|ft|9|in}}", "* a\n## b\n; c : d", "{|\n! a !! b\n|-\n| c || d\n|}"} {
		f.Add(s)
	}
	w := english(f)
	p := w.parsers.New().(*parser)
	f.Fuzz(func(t *testing.T, s string) {
		p.page("Title", s)
		if bound := stepsPerByte*len(s) + 10_000; p.steps > bound {
			t.Errorf("%d bytes took %d steps", len(s), p.steps)
		}
		for _, c := range w.Text(s) {
			if c < ' ' && c != '\n' {
				t.Errorf("control character %q left of %q", c, s)
			}
		}
	})
}

// TestNestedTemplates: templates within an argument of templates are rendered
// once, for every template that asks for an argument twice.
func TestNestedTemplates(t *testing.T) {
	w := english(t)
	var names []string // one for each rendering
	seen := map[*rule]bool{}
	for _, name := range slices.Sorted(maps.Keys(w.lang.rules)) {
		if r := w.lang.rules[name]; !seen[r] {
			seen[r] = true
			names = append(names, strings.TrimSuffix(name, "*"))
		}
	}
	for _, name := range append(names, "lang-ar", "#if:x", "#switch:x", "formatnum:") {
		for _, args := range []string{"%", "%|%", "1|%", "1|%|3|4", "text=%", "1=%|2=%", "alt=%|lc=%|e=%|u=%|ul=%"} {
			s := "1"
			for range maxDepth {
				if s = "{{" + name + "|" + strings.ReplaceAll(args, "%", s) + "}}"; len(s) > 20_000 {
					break
				}
			}
			start := time.Now()
			if got := w.Text(s); len(got) > 100*len(s) {
				t.Errorf("{{%s|%s}} nested: %d bytes become %d", name, args, len(s), len(got))
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Fatalf("{{%s|%s}} nested: %s for %d bytes", name, args, took, len(s))
			}
		}
	}
}
