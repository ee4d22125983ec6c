package wikihtml

import (
	"os"
	"strings"
	"testing"
	"time"

	"barka/internal/testfiles"
	"barka/internal/wikitext"
)

// TestWikitext: what is text, in the form that package wikitext reads, and what is not.
func TestWikitext(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{"<p>One <b>two</b>\n three.</p><p>Four</p>", "One two three.\n\nFour"},
		{`<p>A<sup class="reference"><a>[1]</a></sup> b<sup>2</sup> H<sub>2</sub>O</p>`, "A b<sup>2</sup> H<sub>2</sub>O"},
		{`<section><h2 id="x"><span class="mw-headline">Uses</span><span class="mw-editsection">[edit]</span></h2><p>x</p></section>`,
			"== Uses ==\nx"},
		{`<ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul><ol><li>d</li></ol><dl><dt>t</dt><dd>e</dd></dl>`,
			"* a\n** b\n* c\n\n# d\n\n; t\n: e"},
		{`<table class="wikitable"><caption>C</caption><tbody><tr><th>Year</th><th colspan="2">N</th></tr><tr><td>1990</td><td>1</td>` +
			`<td>2<br>3</td></tr></tbody></table>`,
			"{| class=\"wikitable\"\n|+ C\n|-\n! Year\n! colspan=\"2\" | N\n|-\n| 1990\n| 1\n| 2<br>3\n|}"},
		{`<table class="infobox"><tr><td>x</td></tr></table><p>y</p><div class="navbox">z</div><style>.a{}</style>`, "y"},
		{`<p>Let <span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;">` +
			`<math alttext="x"><semantics><mi>x</mi>` +
			`<annotation encoding="application/x-tex">{\displaystyle x&lt;y}</annotation></semantics></math></span>` +
			`<img class="mwe-math-fallback-image-inline" alt="other"></span> be.</p>`, "Let <math>x<y</math> be."},
		{`<p>T: <span typeof="mw:Extension/math" data-mw='{"name":"math","body":{"extsrc":"a^2"}}'><img alt="no"></span></p>`,
			"T: <math>a^2</math>"},
		{"<p>* [[no]] {{link}} &lt;b&gt; ''q'' it's __TOC__ a_b ~~~~</p>", "&#42; &#91;&#91;no&#93;&#93; &#123;&#123;link&#125;&#125; " +
			"&#60;b&#62; &#39;&#39;q&#39;&#39; it's &#95;&#95;TOC&#95;&#95; a_b &#126;&#126;&#126;&#126;"},
		{`<p>a<span style="display:none">b</span><figure><figcaption>c</figcaption></figure></p><pre>x  y
z</pre>`, "a\n\n<pre>x  y\nz</pre>"},
		{"<p>مرحبا <i>بكم</i></p>", "مرحبا بكم"},
	} {
		got, err := Wikitext(c.html)
		if got = strings.TrimSpace(got); err != nil || got != c.want {
			t.Errorf("%s\n%q\nwant\n%q (%v)", c.html, got, c.want, err)
		}
	}
}

// TestRealPages: pages as Wikipedia served them keep their sentences and lose their boxes.
func TestRealPages(t *testing.T) {
	for _, c := range []struct{ name, has, not string }{
		{"wikipedia", "Mozilla is a free-software", "\x00"},
		{"wikipedia-3", "Hermitian", "Terms of Use"}, {"wikipedia-4", "time loops", "Terms of Use"},
	} {
		data, err := os.ReadFile(testfiles.Shared(t, "wiki", "html", c.name, "source.html"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := Wikitext(string(data))
		if err != nil {
			t.Fatal(err)
		}
		root := wikitext.New(wikitext.Options{}).Parse(c.name, text).Root
		var all strings.Builder
		var walk func(s *wikitext.Section)
		walk = func(s *wikitext.Section) {
			all.WriteString(s.Title + "\n" + s.Text + "\n")
			for _, child := range s.Children {
				walk(child)
			}
		}
		walk(root)
		if got := all.String(); len(got) < 500 || !strings.Contains(got, c.has) || strings.Contains(got, c.not) || len(root.Children) == 0 {
			t.Errorf("%s: %d bytes, %d sections, without %q: %.1000s", c.name, len(got), len(root.Children), c.has, got)
		}
	}
}

// FuzzWikitext: hostile pages end in time and without a panic.
func FuzzWikitext(f *testing.F) {
	for _, s := range []string{"<p>x", "<ul><li><ul>", "<table><tr><td><table><tr><td>x",
		strings.Repeat("<div>", 600), "<math><annotation>", "\x00<"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, page string) {
		start := time.Now()
		if _, err := Wikitext(page); err != nil && len(page) < 2000 && !strings.Contains(err.Error(), "HTML") {
			t.Error(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%d bytes took %s", len(page), took)
		}
	})
}
