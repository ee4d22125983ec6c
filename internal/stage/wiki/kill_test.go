package wiki

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/mediawiki"
	"barka/internal/mediawiki/badwiki"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// TestMain lets a test start this program as a child that can be killed.
func TestMain(m *testing.M) {
	out := os.Getenv("BARKA_WIKI_TEST_OUT")
	if out == "" {
		os.Exit(m.Run())
	}
	o := dumpOptions(os.Getenv("BARKA_WIKI_TEST_DUMP"))
	if o.Dump == "" {
		o.API, o.Contact, o.Concurrency = os.Getenv("BARKA_WIKI_TEST_API"), "test@barka.test", 3
		o.Titles, o.Cache = []string{"Cane", "Clay", "Coffee"}, out+".cache"
		o.Links = 2
	}
	if _, err := Run(context.Background(), o, nil, durable.Env{Out: out, Progress: progress.Silent}); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func killed(t *testing.T, want string, env ...string) {
	tree := testfiles.Tree(t, want)
	testfiles.Kills(t, func(out string) []string { return append(env, "BARKA_WIKI_TEST_OUT="+out) }, func(what, out string) {
		testfiles.Same(t, what, testfiles.Tree(t, out), tree)
		if _, err := os.Lstat(out + dataset.PartialSuffix); err == nil {
			t.Errorf("%s is still there", out+dataset.PartialSuffix)
		}
	})
}

// TestDumpSurvivesKills kills a run over a multistream dump and over a plain one.
func TestDumpSurvivesKills(t *testing.T) {
	compressed, text := smallBytes(t)
	streams, _, err := mediawiki.Streams(smallDump)
	if err != nil {
		t.Fatal(err)
	}
	last := len(streams) - 1
	pages := compressed[streams[1].Offset:streams[last].Offset]
	many := append(append(bytes.Clone(compressed[:streams[1].Offset]), bytes.Repeat(pages, 100)...), compressed[streams[last].Offset:]...)
	for name, data := range map[string][]byte{"x-multistream.xml.bz2": many, "x.xml": manyPages(text)} {
		o := dumpOptions(copied(t, name, data))
		whole, _, err := runDump(t, o, progress.Silent)
		if err != nil {
			t.Fatal(err)
		}
		killed(t, whole, "BARKA_WIKI_TEST_DUMP="+o.Dump)
	}
}

// TestAPISurvivesKills kills a run over an API behind a proxy with faults.
func TestAPISurvivesKills(t *testing.T) {
	f := newFakeWiki(t)
	api := faulty(t, f.URL, 0.05)
	o := apiOptions(t, f, "Cane", "Clay", "Coffee")
	o.API, o.Links, o.Concurrency = api.URL, 2, 3
	whole, _ := runAPI(t, o, nil)
	killed(t, whole, "BARKA_WIKI_TEST_API="+api.URL)
}

// faulty is a server with faults before another.
func faulty(t *testing.T, wiki string, share float64) *httptest.Server {
	t.Helper()
	u, err := url.Parse(wiki)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(badwiki.New(u, share, 1))
	t.Cleanup(s.Close)
	return s
}

// TestFaultyWiki: every kind of fault passes, and the rows are those of a wiki without faults.
func TestFaultyWiki(t *testing.T) {
	f := newFakeWiki(t)
	o := apiOptions(t, f, "Cane", "Clay", "Coffee", "Cup", "Sugar", "Tea")
	want, _ := runAPI(t, o, nil)
	u, _ := url.Parse(f.URL)
	proxy := badwiki.New(u, 0.9, 1)
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	o.API, o.Cache = s.URL, filepath.Join(t.TempDir(), "cache")
	got, m := runAPI(t, o, nil)
	if n := len(proxy.Counts()); n != len(badwiki.Kinds) {
		t.Errorf("%d kinds of faults: %v", n, proxy.Counts())
	}
	a, b := rows(t, want), rows(t, got)
	if len(a) != len(b) || len(a) != 12 {
		t.Fatalf("%d rows, %d with faults: %v", len(a), len(b), m.Counts)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%+v, with faults %+v", a[i], b[i])
		}
	}
}
