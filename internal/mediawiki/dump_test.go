package mediawiki

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"barka/internal/badinput"
	"barka/internal/testfiles"
)

const small = `<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
<siteinfo><sitename>Test</sitename><dbname>testwiki</dbname><base>https://t.example/wiki/Main</base></siteinfo>
<page><title>A &amp; B</title><ns>0</ns><id>1</id><revision><id>9</id><timestamp>2020-01-01T00:00:00Z</timestamp><text>old</text></revision><revision><id>10</id><text xml:space="preserve">Text &lt;b&gt;</text></revision></page>
<page><title>C</title><ns>0</ns><id>2</id><redirect title="A &amp; B"/><revision><id>11</id><text>#REDIRECT [[A &amp; B]]</text></revision></page>
</mediawiki>`

func TestPages(t *testing.T) {
	var site Site
	var pages []Page
	for p, err := range Pages(strings.NewReader(small), &site) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	if site.DB != "testwiki" || len(pages) != 2 || pages[0].Title != "A & B" || pages[0].Text != "Text <b>" ||
		pages[0].Revision != 10 || pages[1].Redirect != "A & B" {
		t.Errorf("%+v %+v", site, pages)
	}
}

// TestEncodings: the same dump in every encoding that a declaration or the
// first bytes can name.
func TestEncodings(t *testing.T) {
	text := strings.Replace(small, "Text &lt;b&gt;", "Pōrs ā Ж", 1)
	latin := strings.Replace(small, "Text &lt;b&gt;", "crème", 1)
	declared := func(name, s string) string { return `<?xml version="1.0" encoding="` + name + `"?>` + s }
	encoded := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ name, dump, want string }{
		{"UTF-8", declared("UTF-8", text), "Pōrs ā Ж"},
		{"UTF-8 with a mark", "\xef\xbb\xbf" + text, "Pōrs ā Ж"},
		{"UTF-16 little", encoded(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), declared("UTF-16", text)), "Pōrs ā Ж"},
		{"UTF-16 big", encoded(unicode.UTF16(unicode.BigEndian, unicode.UseBOM), declared("utf-16", text)), "Pōrs ā Ж"},
		{"UTF-16LE without a mark", encoded(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
			declared("UTF-16LE", text)), "Pōrs ā Ж"},
		{"UTF-16BE without mark or declaration", encoded(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), text), "Pōrs ā Ж"},
		{"UTF-32", encoded(utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), declared("UTF-32", text)), "Pōrs ā Ж"},
		{"UTF-8 that says UTF-16", declared("UTF-16", text), "Pōrs ā Ж"},
		{"Latin-1", encoded(charmap.ISO8859_1, declared("ISO-8859-1", latin)), "crème"},
		{"Windows-1252", encoded(charmap.Windows1252, declared("windows-1252", latin)), "crème"},
		{"KOI8-R", encoded(charmap.KOI8R, declared("KOI8-R", strings.Replace(small, "Text &lt;b&gt;", "Ёж", 1))), "Ёж"},
	} {
		var last Page
		for p, err := range Pages(strings.NewReader(c.dump), nil) {
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if p.Title == "A & B" {
				last = p
			}
		}
		if last.Text != c.want {
			t.Errorf("%s: %q, want %q", c.name, last.Text, c.want)
		}
	}
	for _, name := range []string{"x-klingon", "EBCDIC-INT"} {
		for _, err := range Pages(strings.NewReader(declared(name, text)), nil) {
			if !badinput.Is(err) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestNamespaces: the wiki's names, its rule for titles, and pages whose
// namespace shows in their title alone, as before version 0.6.
func TestNamespaces(t *testing.T) {
	const old = `<mediawiki version="0.3"><siteinfo><case>first-letter</case><namespaces><namespace key="-2">Medeja</namespace><namespace key="0" />
<namespace key="2">Lītuotuojs</namespace><namespace key="14">Kategoreja</namespace></namespaces></siteinfo>
<page><title>Pōrs</title><id>1</id></page><page><title>lītuotuojs:Anna</title><id>2</id></page><page><title>Star Trek: Picard</title><id>3</id></page></mediawiki>`
	var site Site
	var spaces []int
	for p, err := range Pages(strings.NewReader(old), &site) {
		if err != nil {
			t.Fatal(err)
		}
		spaces = append(spaces, p.Namespace)
	}
	if site.Namespaces[CategoryNamespace] != "Kategoreja" || site.Namespaces[MediaNamespace] != "Medeja" ||
		len(site.Namespaces) != 3 || !slices.Equal(spaces, []int{0, 2, 0}) {
		t.Errorf("%+v, %v", site, spaces)
	}
	for title, want := range map[string]string{"ēģipte": "Ēģipte", "Star_Trek:__Picard ": "Star Trek: Picard", "": ""} {
		if got := site.Title(title); got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
	site.CaseSensitive = true
	if site.Title("water") != "water" {
		t.Error("a case-sensitive wiki's title changed")
	}
}

func TestBrokenDumps(t *testing.T) {
	for in, want := range map[string]string{
		small[:len(small)/2]: "byte", "": "not a MediaWiki dump", "<html></html>": "not a MediaWiki dump",
		"<mediawiki><page><id>x</id></page></mediawiki>": "byte", "<mediawiki><page></page></mediawiki>": "without a title",
		"<mediawiki><page><title>a</title></wrong></mediawiki>": "byte",
	} {
		var last error
		for _, err := range Pages(strings.NewReader(in), nil) {
			last = err
		}
		if last == nil || !badinput.Is(last) || !strings.Contains(last.Error(), want) {
			t.Errorf("%.40q: %v, expected %q", in, last, want)
		}
	}
}

// TestRealDumps reads genuine exports in every compression.
func TestRealDumps(t *testing.T) {
	root := testfiles.Shared(t, "wiki")
	for name, want := range map[string]int{
		"pywikibot/article-pyrus.xml.bz2": 1, "pywikibot/article-pyrus.xml.gz": 1, "pywikibot/article-pyrus.xml.xz": 1,
		"pywikibot/article-pear.xml": 1, "pywikibot/article-pear-0.10.xml": 1,
		"enwiki-pages-articles1-shortened.xml.bz2": 100, "tinywiki-latest-pages-articles.xml": 2,
	} {
		f, err := OpenDump(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for p, err := range Pages(f, nil) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if p.Title == "" || p.Text == "" {
				t.Errorf("%s: page %+v", name, p.Title)
			}
			n++
		}
		f.Close()
		if n < want {
			t.Errorf("%s: %d pages, expected at least %d", name, n, want)
		}
		t.Logf("%s: %d pages", name, n)
	}
}

func FuzzPages(f *testing.F) {
	f.Add(small)
	f.Add("\xff\xfe<\x00?\x00")
	f.Add(`<?xml version="1.0" encoding="GB18030"?><mediawiki>`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, err := range Pages(strings.NewReader(s), nil) {
			if err != nil && !badinput.Is(err) {
				t.Fatal(err)
			}
		}
	})
}
