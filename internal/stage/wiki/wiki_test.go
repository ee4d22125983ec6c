package wiki

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/mediawiki"
	"barka/internal/progress"
	"barka/internal/testfiles"
	"barka/internal/wikitext"
)

const dump = `<mediawiki version="0.11"><siteinfo><dbname>t</dbname><base>https://t.test/wiki/Main</base></siteinfo>
<page><title>Coffee</title><ns>0</ns><id>1</id><revision><id>5</id><text>'''Coffee''' is a drink made of roasted beans, and it is drunk all over the world in the morning.
== History ==
Coffee came from [[Ethiopia]] to Arabia in the fifteenth century and went on to Europe.
=== Arabia ===
In Arabia it is drunk with cardamom from small cups without handles, and it is a sign of welcome.
=== Short ===
Tiny.
== See also ==
* [[Tea]], which is another drink that is drunk all over the world in the morning by many people.
== Copy ==
Coffee came from [[Ethiopia]] to Arabia in the fifteenth century and went on to Europe.
</text></revision></page>
<page><title>Talk:Coffee</title><ns>1</ns><id>2</id><revision><id>6</id><text>Not an article, though it is long enough to be taken for one by mistake.</text></revision></page>
<page><title>Kahwa</title><ns>0</ns><id>3</id><redirect title="Coffee"/><revision><id>7</id><text>#REDIRECT [[Coffee]]</text></revision></page>
</mediawiki>`

func options(t *testing.T) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.xml")
	if err := os.WriteFile(path, []byte(dump), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Dump, o.MinChars = path, 20
	return o
}

func rows(t *testing.T, dir string) []dataset.Passage {
	t.Helper()
	var out []dataset.Passage
	for p, err := range dataset.Rows[dataset.Passage](context.Background(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func sections(ps []dataset.Passage) string {
	var names []string
	for _, p := range ps {
		names = append(names, p.Title+"/"+p.Section)
	}
	return strings.Join(names, ", ")
}

func TestDump(t *testing.T) {
	o, out := options(t), filepath.Join(t.TempDir(), "out")
	m, err := Run(context.Background(), o, nil, durable.Env{Out: out, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	ps := rows(t, out)
	if got, want := sections(ps), "Coffee/, Coffee/History, Coffee/History > Arabia"; got != want {
		t.Errorf("passages %s, want %s", got, want)
	}
	for reason, n := range map[string]int64{"rejected_redirect": 1, "rejected_too_short": 1,
		"rejected_skipped_heading": 1, "rejected_duplicate": 1, "pages": 1} {
		if m.Counts[reason] != n {
			t.Errorf("%s: %d, want %d (%v)", reason, m.Counts[reason], n, m.Counts)
		}
	}
	p := ps[1]
	if p.Revision != 5 || !strings.Contains(p.URL, "oldid=5") || !strings.Contains(p.Licence, "BY-SA") ||
		p.Chars != int32(len([]rune(p.Text))) || strings.Contains(p.Text, "[[") {
		t.Errorf("%+v", p)
	}
}

// TestTitles: chosen titles are found however they are written; those without
// a page and redirects are counted and named, and none at all is an error.
func TestTitles(t *testing.T) {
	run := func(titles ...string) (*dataset.Manifest, error) {
		o := options(t)
		o.Titles = titles
		return Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent})
	}
	m, err := run("coffee", "Kahwa", "Nowhere", "Not_there", "Talk:Coffee")
	if err != nil {
		t.Fatal(err)
	}
	for reason, n := range map[string]int64{"pages": 1, "rejected_missing_page": 2, "rejected_redirect": 1, "rejected_not_an_article": 1} {
		if m.Counts[reason] != n {
			t.Errorf("%s: %d, want %d (%v)", reason, m.Counts[reason], n, m.Counts)
		}
	}
	if notes := strings.Join(m.Notes, "; "); len(m.Notes) != 2 ||
		!strings.Contains(notes, "2 of 5 titles have no page: Not there, Nowhere") || !strings.Contains(notes, "Kahwa → Coffee") {
		t.Errorf("notes %q", m.Notes)
	}
	if _, err := run("Nowhere", "Elsewhere"); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "none of the 2 titles") || !strings.Contains(err.Error(), "Elsewhere, Nowhere") {
		t.Errorf("no title there: %v", err)
	}
	// Other titles can then be given for the same output.
	o := options(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, o.Titles = range [][]string{{"Nowhere"}, {"Coffee"}} {
		_, err = Run(t.Context(), o, nil, durable.Env{Out: out, Progress: progress.Silent})
	}
	if err != nil {
		t.Error(err)
	}
	if m, err = run("Kahwa"); err != nil || !strings.Contains(strings.Join(m.Notes, "; "), "0 pages gave no passage") {
		t.Errorf("nothing but a redirect: %v, %+v", err, m)
	}
}

// TestOtherLanguages: links into the wiki's own namespaces are no text.
func TestOtherLanguages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ltg.xml")
	const ltg = `<?xml version="1.0" encoding="UTF-16"?><mediawiki><siteinfo><namespaces><namespace key="6">Fails</namespace><namespace key="14">Kategoreja</namespace></namespaces></siteinfo>
<page><title>Rēzne</title><ns>0</ns><id>1</id><revision><id>2</id><text>[[Fails:Rezne.jpg|thumb|Azars]]Rēzne ir azars Latgolā, kas ir leluokais tymā pusē. [[Kategoreja:Azari]]</text></revision></page></mediawiki>`
	data, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(ltg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	o, out := Defaults(), filepath.Join(t.TempDir(), "out")
	o.Dump, o.MinChars = path, 20
	if _, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: progress.Silent}); err != nil {
		t.Fatal(err)
	}
	if ps := rows(t, out); len(ps) != 1 || ps[0].Text != "Rēzne ir azars Latgolā, kas ir leluokais tymā pusē." {
		t.Errorf("%+v", ps)
	}
}

func TestLeavesOnly(t *testing.T) {
	o, out := options(t), filepath.Join(t.TempDir(), "out")
	o.LeavesOnly = true
	if _, err := Run(context.Background(), o, nil, durable.Env{Out: out, Progress: progress.Silent}); err != nil {
		t.Fatal(err)
	}
	if got, want := sections(rows(t, out)), "Coffee/History > Arabia, Coffee/Copy"; got != want {
		t.Errorf("passages %s, want %s", got, want)
	}
}

// counts is a Progress that ends the run after some pages.
type counts struct {
	progress.Reporter
	added, skipped, end int64
	cancel              func()
}

func (c *counts) Skip(n int64) { c.skipped += n }
func (c *counts) Add(n int64) {
	if c.added += n; c.added == c.end {
		c.cancel()
	}
}

func TestValidate(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.Dump = "" }, func(o *Options) { o.API = "https://x.test" }, func(o *Options) { o.MaxChars = 1 },
		func(o *Options) { o.Categories = []string{"x"} }, func(o *Options) { o.Links = 1 }, func(o *Options) { o.Dataset = "" },
	} {
		o := options(t)
		change(&o)
		if o.Validate() == nil {
			t.Errorf("accepted %+v", o)
		}
	}
}

// formulas may have any marks.
var formulas = regexp.MustCompile(`(?s)\\\(.*?\\\)`)

// TestRealDump reports what a genuine dump gives.
func TestRealDump(t *testing.T) {
	path := testfiles.Shared(t, "wiki", "enwiki-pages-articles1-shortened.xml.bz2")
	o, out := Defaults(), filepath.Join(t.TempDir(), "out")
	o.Dump = path
	m, err := Run(context.Background(), o, nil, durable.Env{Out: out, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	algeria := 0
	for _, p := range rows(t, out) {
		if p.Title == "Algeria" {
			algeria++
		}
		for _, mark := range []string{"[[", "]]", "<ref", "'''"} {
			if strings.Contains(formulas.ReplaceAllString(p.Text, ""), mark) {
				t.Errorf("%s/%s: %q left", p.Title, p.Section, mark)
			}
		}
	}
	if algeria < 10 {
		t.Errorf("%d passages of Algeria", algeria)
	}
	t.Logf("%d pages, %d passages, %d of Algeria; %v", m.Counts["pages"], m.Rows, algeria, m.Counts)
}

// TestMemory: a passage costs the stage some bytes, however long its text.
func TestMemory(t *testing.T) {
	run, err := durable.Begin(filepath.Join(t.TempDir(), "out"),
		durable.Identity{Stage: "wiki", Version: version, Options: Defaults()}, false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(Defaults(), durable.Env{}, run)
	if err != nil {
		t.Fatal(err)
	}
	inUse := func() int64 {
		runtime.GC() // twice, for pools keep what they hold over the first
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const passages = 2000
	before := inUse()
	for i := range passages {
		text := strings.Repeat(fmt.Sprintf("%d ", i), 1<<12) // 8 to 20 KiB
		m := s.make(page{Page: mediawiki.Page{Title: "A", ID: int64(i)}, text: &wikitext.Page{Root: &wikitext.Section{Level: 1, Text: text}}})
		if err := s.take(m); err != nil {
			t.Fatal(err)
		}
	}
	run.Close()
	s.run, s.out = nil, nil // whose buffers have a bound of their own
	each := (inUse() - before) / passages
	t.Logf("%d bytes per passage", each)
	if each > 200 {
		t.Errorf("a passage of about 20 KiB takes %d bytes for good", each)
	}
	if again, err := s.seen.add(dataset.KeyOf(strings.Repeat("7 ", 1<<12))); !again || err != nil {
		t.Error("a passage is not remembered")
	}
}
