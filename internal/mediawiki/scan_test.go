package mediawiki

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"barka/internal/testfiles"
)

// outcome is what a dump gave: its pages, and the error that ended them.
func outcome(r io.Reader, slow bool) string {
	var b strings.Builder
	var site Site
	d := &reader{elements: newElements(r), site: &site, slow: slow}
	d.pages(func(p Page, err error) bool {
		if err != nil {
			fmt.Fprintf(&b, "error %v\n", err)
			return false
		}
		fmt.Fprintf(&b, "%+q\n", fmt.Sprintf("%+v", p))
		return true
	})
	fmt.Fprintf(&b, "%+v", site)
	return b.String()
}

// scanSeeds hold everything that may stand in a page, and much that may not.
func scanSeeds() (seeds []string) {
	body := []string{
		"text", "a &lt;b&gt; &amp;amp; &quot;c&quot; &apos;d&apos;", "&#10;&#x41;", "<!-- c -->x",
		"<![CDATA[</page> <x> &lt;]]>", "<?pi?>",
		"&unknown;", "&lt", "]]>", "]]&gt;", ">", "\r\n", "a\rb", "\t\n", "\x00", "\x1f",
		"\u007f\u0085\u2028\ufeff\ufdd0\ufffd", "\ufffe", "\uffff",
		"\xff\xfe", "\xef\xbf", "<b>in</b>out", "العربية", strings.Repeat("long &amp; ", 1000), "</page>", "<page>",
	}
	for _, b := range body {
		seeds = append(seeds, "<mediawiki><page><title>T</title><ns>0</ns><id>1</id><revision><id>2</id><text>"+b+
			"</text></revision></page><page><title>U</title></page></mediawiki>",
			"<mediawiki><page><title>T"+b+"</title><revision><contributor><username>"+b+
				"</username></contributor></revision></page></mediawiki>")
	}
	for _, attributes := range []string{` bytes="1" xml:space="preserve"`, ` a='b'`, ` a = "b"`, ` a=b`, ` a`,
		` a="<"`, ` a="&lt;&bad;"`,
		` a="1"b="2"`, `  a="1"  `, "\na=\"1\"", ` x:a="1"`, ` sha1="x"`, ` 1a="x"`, ` a="` + "\x01" + `"`,
		` title="x" title="y"`, ` a="]]>"`} {
		seeds = append(seeds, `<mediawiki><page><title>T</title><redirect`+attributes+`/><revision><text`+attributes+
			`>x</text><sha1`+attributes+
			`/></revision></page></mediawiki>`,
			`<mediawiki><page`+attributes+`><title>T</title><redirect title="A &amp; B"`+attributes+`/></page></mediawiki>`)
	}
	return append(seeds, small, "<mediawiki><page></page></mediawiki>",
		"<mediawiki><page/><page><title>A</title></page></mediawiki>",
		"<mediawiki><page><title>A</title ></page ><page><title>B</title></page></mediawiki>", "<page><title>A</title></page>",
		"<mediawiki><page><title>A</title><ns>x</ns></page></mediawiki>",
		"<mediawiki><page><title>A</title><ns>+1</ns><id> 7 </id></page></mediawiki>",
		"<mediawiki><page><title>A</title><id>99999999999999999999</id></page></mediawiki>",
		"<mediawiki><page><title>A</title><id/><ns></ns></page>",
		"<mediawiki><page><title>A</title>text<id>1</id></page></mediawiki>", "<mediawiki><page><title>A</b></page></mediawiki>",
		"<mediawiki> x <page><title>A</title></page> <!-- c --> <page><title>B</title></page></mediawiki>junk",

		"<mediawiki><page><title>A</title><revision><text>1</text></revision><revision><text>2</text><id>3</id></revision></page></mediawiki>",
		"<mediawiki><page><title>A</title><revision/><upload><a><b>x</b></a></upload></page></mediawiki>",
		"<mediawiki/><page><title>A</title></page>",
		"<mediawiki><page><title>A</title><sub:id>1</sub:id></page></mediawiki>",
		"<mediawiki><page><title>A</title></page><page><title>B</tit",

		"<mediawiki><siteinfo><namespaces><namespace key=\"4\">P</namespace></namespaces></siteinfo><page><title>P:A</title></page></mediawiki>")
}

func compareScan(t *testing.T, dump string) {
	t.Helper()
	want := outcome(strings.NewReader(dump), true)
	if got := outcome(strings.NewReader(dump), false); got != want {
		t.Errorf("%.300q:\n%s\nencoding/xml:\n%s", dump, got, want)
	}
	if got := outcome(iotest.OneByteReader(strings.NewReader(dump)), false); len(dump) < 5000 && got != want {
		t.Errorf("%.300q, byte by byte:\n%s\nencoding/xml:\n%s", dump, got, want)
	}
}

// TestScan compares the scanner with encoding/xml: the same pages, and the same errors.
func TestScan(t *testing.T) {
	for _, dump := range scanSeeds() {
		compareScan(t, dump)
	}
}

// TestScanIsUsed: what MediaWiki writes is not left to encoding/xml.
func TestScanIsUsed(t *testing.T) {
	_, pages, _ := strings.Cut(small, "</siteinfo>\n")
	w := newWindow(strings.NewReader(pages))
	for i := range 2 {
		if err := w.atLeast(len(pages) / 3); err != nil {
			t.Fatal(err)
		}
		if p, ok := scanPage(w, &Site{}); !ok {
			t.Errorf("page %d is not scanned: %+v", i, p)
		}
		_ = w.skipSpace(10)
	}
}

func FuzzScan(f *testing.F) {
	for _, dump := range scanSeeds() {
		if len(dump) < 2000 {
			f.Add(dump)
		}
	}
	f.Fuzz(func(t *testing.T, dump string) { compareScan(t, dump) })
}

// TestScanRealDumps compares whole dumps.
func TestScanRealDumps(t *testing.T) {
	for _, name := range []string{"enwiki-pages-articles1-shortened.xml.bz2", "tinywiki-latest-pages-articles.xml",
		"pywikibot/article-pear.xml", "pywikibot/article-pear-0.10.xml", "pywikibot/article-pyrus.xml.bz2"} {
		var all [2]string
		for i := range all {
			f, err := OpenDump(testfiles.Shared(t, "wiki", name))
			if err != nil {
				t.Fatal(err)
			}
			all[i] = outcome(f, i == 0)
			f.Close()
		}
		if all[0] != all[1] || strings.Contains(all[0], "error") && !strings.Contains(all[0], `"{`) {
			t.Errorf("%s: pages differ", name)
		}
	}
}

func BenchmarkPages(b *testing.B) {
	path := os.Getenv("BARKA_DUMP")
	if path == "" {
		b.Skip("BARKA_DUMP names a dump to read")
	}
	f, err := OpenDump(path)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		b.Fatal(err)
	}
	for _, slow := range []bool{true, false} {
		b.Run(fmt.Sprintf("slow=%t", slow), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d := &reader{elements: newElements(bytes.NewReader(text)), site: &Site{}, slow: slow}
				d.pages(func(Page, error) bool { return true })
			}
		})
	}
}
