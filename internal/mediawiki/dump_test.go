package mediawiki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
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
	if site.DB != "testwiki" || len(pages) != 2 || pages[0].Title != "A & B" || pages[0].Text != "Text <b>" || pages[0].Revision != 10 || pages[1].Redirect != "A & B" {
		t.Errorf("%+v %+v", site, pages)
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
	root := filepath.Join("..", "..", "..", "shared", "data", "wiki")
	if _, err := os.Stat(root); err != nil {
		t.Skip("the shared reference data is not here")
	}
	for name, want := range map[string]int{
		"pywikibot/article-pyrus.xml.bz2": 1, "pywikibot/article-pyrus.xml.gz": 1, "pywikibot/article-pyrus.xml.xz": 1,
		"pywikibot/article-pear.xml": 1, "pywikibot/article-pear-0.10.xml": 1, "enwiki-pages-articles1-shortened.xml.bz2": 100, "tinywiki-latest-pages-articles.xml": 2,
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
	f.Fuzz(func(t *testing.T, s string) {
		for _, err := range Pages(strings.NewReader(s), nil) {
			if err != nil && !badinput.Is(err) {
				t.Fatal(err)
			}
		}
	})
}
