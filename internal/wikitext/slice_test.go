package wikitext

import (
	"testing"

	"barka/internal/mediawiki"
	"barka/internal/testfiles"
)

// slicePages are the articles of the shared slice of the English Wikipedia.
func slicePages(t testing.TB) (pages []mediawiki.Page, bytes int64) {
	t.Helper()
	f, err := mediawiki.OpenDump(testfiles.Shared(t, "wiki", "enwiki-pages-articles1-shortened.xml.bz2"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for p, err := range mediawiki.Pages(f, nil) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
		bytes += int64(len(p.Text))
	}
	return pages, bytes
}

// BenchmarkParse renders the shared slice; its rate is that of the wikitext.
func BenchmarkParse(b *testing.B) {
	pages, bytes := slicePages(b)
	w := english(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range pages {
			w.Parse(p.Title, p.Text)
		}
	}
}
