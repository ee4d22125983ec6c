package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// PageSections is the number of passages of a made page: its lead and sections.
const PageSections = 5

// WritePages writes an XML dump of n pages of invented words, each with PageSections texts of
// so many words. They have the markup of articles: links, templates, references, emphasis, a
// list, a table and a picture. The same numbers always give the same pages.
func WritePages(to io.Writer, n, words int) error {
	w := bufio.NewWriter(to)
	fmt.Fprint(w, `<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Bench</sitename><dbname>benchwiki</dbname><base>https://example.org/wiki/Main_Page</base><case>first-letter</case>
    <namespaces><namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">File</namespace>`+
		`<namespace key="14" case="first-letter">Category</namespace></namespaces>
  </siteinfo>
`)
	english := newWriter().english
	for i := range n {
		fmt.Fprintf(w, "  <page>\n    <title>Page %d</title><ns>0</ns><id>%d</id>\n    <revision><id>%d</id><text xml:space=\"preserve\">",
			i, i+1, i+1)
		xmlText.WriteString(w, english.article(rowSource(i), words))
		fmt.Fprint(w, "</text></revision>\n  </page>\n")
	}
	fmt.Fprintln(w, "</mediawiki>")
	return w.Flush() // which returns the first error
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// article is a page in wikitext.
func (v vocabulary) article(rng *rand.Rand, words int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{{Infobox place\n| name = %s\n| population = %d\n}}\n[[File:%s.jpg|thumb|%s]]\n", v.phrase(rng, 2), rng.IntN(1e6),
		v.word(rng), v.phrase(rng, 8))
	for i := range PageSections {
		if i > 0 {
			fmt.Fprintf(&b, "\n== %s ==\n", v.phrase(rng, 2))
		}
		for _, sentence := range strings.SplitAfter(v.text(rng, words, "."), ". ") {
			fmt.Fprintf(&b, "'''%s''' is [[%s|%s]] of {{convert|%d|km|mi}}, %s<ref>{{cite web|title=%s|url=https://example.org/%s}}</ref>\n",
				v.word(rng), v.phrase(rng, 2), v.word(rng), 2+rng.IntN(900), sentence, v.phrase(rng, 4), v.word(rng))
		}
		for range 3 {
			fmt.Fprintf(&b, "* [[%s]], %s\n", v.word(rng), v.phrase(rng, 4))
		}
	}
	fmt.Fprintf(&b, "{| class=\"wikitable\"\n! %s !! %s\n|-\n| %s || %d\n|}\n[[Category:%s]]\n", v.word(rng), v.word(rng), v.phrase(rng, 2),
		rng.IntN(2000), v.word(rng))
	return b.String()
}
