package wiki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/mediawiki"
	"barka/internal/progress"
)

func init() { interval = time.Nanosecond }

// fakePage is a page of a fakeWiki. Its id is its place in the list, from 1.
type fakePage struct {
	title, text string
	links       []string
	revision    int64
}

// fakeWiki answers the queries of this package's client.
type fakeWiki struct {
	*httptest.Server
	mu        sync.Mutex
	pages     []fakePage
	redirects map[string]string
	found     []string          // what search and categories list
	arabic    map[string]string // titles in the Arabic wiki
	texts     int               // requests for texts
	requests  int
}

func newFakeWiki(t *testing.T) *fakeWiki {
	f := &fakeWiki{redirects: map[string]string{"Kahwa": "Coffee", "Shay": "Tea"}, found: []string{"Tea", "Shay", "Sugar"}}
	for title, links := range map[string][]string{"Coffee": {"Tea", "Cup", "Red link"}, "Tea": {"Coffee", "Sugar"}, "Cup": {"Clay"},
		"Sugar": {"Cane"}, "Clay": nil, "Cane": nil} {
		f.pages = append(f.pages, fakePage{title, title + " is a thing that is known in the whole world.\n\n== Uses ==\n" + title +
			" is used in many ways by many people.", links, 10})
	}
	slices.SortFunc(f.pages, func(a, b fakePage) int { return strings.Compare(a.title, b.title) })
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeWiki) page(title string) int {
	return slices.IndexFunc(f.pages, func(p fakePage) bool { return p.title == title }) + 1
}

func (f *fakeWiki) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	query := map[string]any{}
	var pages, redirects []any
	add := func(id int) {
		p := f.pages[id-1]
		page := map[string]any{"pageid": id, "ns": 0, "title": p.title, "lastrevid": p.revision, "fullurl": "https://t.test/wiki/" + p.title,
			"revisions": []any{map[string]any{"revid": p.revision, "slots": map[string]any{"main": map[string]any{"content": p.text}}}}}
		if prop := r.FormValue("prop"); strings.Contains(prop, "extracts") {
			page["extract"] = p.text
			if r.FormValue("exintro") != "" {
				page["extract"], _, _ = strings.Cut(p.text, "\n")
			}
		}
		var links []any
		for _, l := range p.links {
			links = append(links, map[string]any{"ns": 0, "title": l})
		}
		page["links"] = links
		if to := f.arabic[p.title]; to != "" && r.FormValue("prop") == "langlinks" && r.FormValue("lllang") == "ar" {
			page["langlinks"] = []any{map[string]any{"lang": "ar", "title": to}}
		}
		pages = append(pages, page)
	}
	switch {
	case r.FormValue("action") == "parse":
		f.texts++
		id, _ := strconv.Atoi(r.FormValue("pageid"))
		p := f.pages[id-1]
		json.NewEncoder(w).Encode(map[string]any{"parse": map[string]any{"pageid": id, "revid": p.revision,
			"text": "<p>" + strings.Replace(p.text, "== Uses ==", "</p><h2>Uses</h2><p>", 1) + "</p>"}})
		return
	case r.FormValue("meta") == "siteinfo":
		query["rightsinfo"] = map[string]any{"text": "CC BY-SA 4.0", "url": "https://cc.test"}
	case r.FormValue("list") != "":
		var list []any
		for _, title := range f.found {
			list = append(list, map[string]any{"ns": 0, "title": title})
		}
		query[r.FormValue("list")] = list
	case r.FormValue("titles") != "":
		for title := range strings.SplitSeq(r.FormValue("titles"), "|") {
			if to := f.redirects[title]; to != "" {
				redirects = append(redirects, map[string]any{"from": title, "to": to})
				title = to
			}
			if id := f.page(title); id > 0 {
				add(id)
			} else {
				pages = append(pages, map[string]any{"ns": 0, "title": title, "missing": true})
			}
		}
	default:
		if prop := r.FormValue("prop"); strings.Contains(prop, "revisions") {
			f.texts++
		}
		for id := range strings.SplitSeq(r.FormValue("pageids"), "|") {
			n, _ := strconv.Atoi(id)
			add(n)
		}
	}
	if pages != nil {
		query["pages"], query["redirects"] = pages, redirects
	}
	json.NewEncoder(w).Encode(map[string]any{"query": query})
}

func apiOptions(t *testing.T, f *fakeWiki, titles ...string) Options {
	o := Defaults()
	o.API, o.Contact, o.Titles, o.MinChars, o.Cache = f.URL, "test@barka.test", titles, 20, t.TempDir()
	return o
}

func runAPI(t *testing.T, o Options, judge *Judge) (string, *dataset.Manifest) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	m, err := Run(t.Context(), o, judge, durable.Env{Out: out, Progress: progress.Silent})
	if err != nil {
		t.Fatal(err)
	}
	return out, m
}

// TestAPI: redirects give one page, missing pages are counted, and a second start asks
// nothing.
func TestAPI(t *testing.T) {
	f := newFakeWiki(t)
	o := apiOptions(t, f, "Coffee", "Kahwa", "Nowhere")
	out := filepath.Join(t.TempDir(), "out")
	env := durable.Env{Out: out, Progress: progress.Silent}
	m, err := Run(t.Context(), o, nil, env)
	if err != nil {
		t.Fatal(err)
	}
	ps := rows(t, out)
	if got, want := sections(ps), "Coffee/, Coffee/Uses"; got != want || ps[0].Licence != "CC BY-SA 4.0 https://cc.test" ||
		ps[0].Revision != 10 || !strings.Contains(ps[0].URL, "oldid=10") {
		t.Errorf("passages %s (%+v), want %s", got, ps, want)
	}
	if m.Counts["rejected_same_page"] != 1 || m.Counts["rejected_missing_page"] != 1 {
		t.Errorf("counts %v", m.Counts)
	}
	before := f.requests
	if _, err := Run(t.Context(), o, nil, env); err != nil || f.requests != before {
		t.Errorf("second start: %v, %d more requests", err, f.requests-before)
	}
}

// TestTitleLanguage: passages have the title of their page in another wiki, if it has the page.
func TestTitleLanguage(t *testing.T) {
	f := newFakeWiki(t)
	f.arabic = map[string]string{"Coffee": "قهوة", "Tea": "شاي"}
	o := apiOptions(t, f, "Coffee", "Cup")
	o.TitleLanguage = "ar"
	out, _ := runAPI(t, o, nil)
	for _, p := range rows(t, out) {
		want, language := "", ""
		if p.Title == "Coffee" {
			want, language = "قهوة", "ar"
		}
		if p.TargetTitle != want || p.TargetLanguage != language {
			t.Errorf("%+v", p)
		}
	}
	for _, change := range []func(*Options){func(o *Options) { o.TitleLanguage = "Arabic" },
		func(o *Options) { o.API, o.Dump = "", "x.xml" }} {
		bad := o
		if change(&bad); bad.Validate() == nil || !strings.Contains(bad.Validate().Error(), "title_language") {
			t.Errorf("%+v: %v", bad, bad.Validate())
		}
	}
}

// TestFormsOfPages: each form gives the same passages.
func TestFormsOfPages(t *testing.T) {
	f := newFakeWiki(t)
	var first []dataset.Passage
	for _, form := range mediawiki.Forms() {
		o := apiOptions(t, f, "Coffee", "Tea", "Cup")
		o.Form, o.Concurrency = form, 3
		out, m := runAPI(t, o, nil)
		got := rows(t, out)
		if first == nil {
			first = got
		}
		if len(got) != 6 || !slices.Equal(got, first) {
			t.Errorf("%s: %+v, %v", form, got, m.Counts)
		}
	}
	if want := 3 + 3 + 1; f.texts != want {
		t.Errorf("%d requests for texts, want %d: wikitext takes one", f.texts, want)
	}
}

// TestSharedCache: another run fetches only the pages that have changed.
func TestSharedCache(t *testing.T) {
	f := newFakeWiki(t)
	o := apiOptions(t, f, "Coffee", "Tea", "Cup")
	runAPI(t, o, nil)
	if f.texts != 3 {
		t.Fatalf("%d texts, want 3", f.texts)
	}
	f.pages[f.page("Tea")-1].revision = 11
	f.pages[f.page("Tea")-1].text = "Tea has become something else since then, says the wiki."
	e, err := Plan(t.Context(), o)
	if err != nil || e.Pages != 3 || e.Cached != 2 || e.Requests != 1 || e.Asked != 1 || e.Seconds <= 0 {
		t.Errorf("plan %+v, %v", e, err)
	}
	out, _ := runAPI(t, o, nil)
	if ps := rows(t, out); f.texts != 4 || len(ps) != 5 || ps[4].Revision != 11 {
		t.Errorf("%d texts, rows %+v", f.texts, ps)
	}
	o.Cache = NoCache
	if runAPI(t, o, nil); f.texts != 7 {
		t.Errorf("without a cache: %d texts, want 7", f.texts)
	}
}

// TestContinuedPages: an interrupted run fetches no page again, cache or not, and pages that
// an earlier run fetched say nothing about the speed of this one.
func TestContinuedPages(t *testing.T) {
	f := newFakeWiki(t)
	o := apiOptions(t, f, "Cane", "Clay", "Coffee", "Cup", "Sugar", "Tea")
	o.Cache = NoCache
	want, _ := runAPI(t, o, nil)
	f.texts = 0
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	first := &counts{Reporter: progress.Silent, end: 3, cancel: cancel}
	if _, err := Run(ctx, o, nil, durable.Env{Out: out, Progress: first}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was cancelled", err)
	}
	second := &counts{Reporter: progress.Silent, end: -1}
	if _, err := Run(t.Context(), o, nil, durable.Env{Out: out, Progress: second}); err != nil {
		t.Fatal(err)
	}
	if second.skipped < 3 || second.skipped+second.added != 6 || f.texts > 7 {
		t.Errorf("%d pages from the earlier run and %d of this one, %d requests", second.skipped, second.added, f.texts)
	}
	sameFiles(t, want, out)
}

func titlesOf(ps []dataset.Passage) string {
	var titles []string
	for _, p := range ps {
		if p.Section == "" {
			titles = append(titles, p.Title)
		}
	}
	return strings.Join(titles, " ")
}

// TestWaysToPages: categories, searches and links, each page once whatever leads to it.
func TestWaysToPages(t *testing.T) {
	f := newFakeWiki(t)
	for _, c := range []struct {
		change func(*Options)
		want   string
		dead   int
	}{
		{func(o *Options) { o.Links = 1 }, "Coffee Cup Tea", 1},
		{func(o *Options) { o.Links = 2 }, "Coffee Cup Tea Clay Sugar", 1},
		{func(o *Options) { o.Titles, o.Categories = nil, []string{"Drinks"} }, "Tea Sugar", 0},
		{func(o *Options) { o.Search = []string{"drink"} }, "Coffee Tea Sugar", 0},
		{func(o *Options) { o.MaxPages = 1 }, "Coffee", 0},
	} {
		o := apiOptions(t, f, "Coffee")
		c.change(&o)
		out, m := runAPI(t, o, nil)
		if got := titlesOf(rows(t, out)); got != c.want || strings.Contains(fmt.Sprint(m.Notes), "1 links") != (c.dead == 1) {
			t.Errorf("%q, want %q; %v", got, c.want, m.Notes)
		}
	}
	o := apiOptions(t, f)
	o.SeedTitles = true
	titles, err := o.titles()
	if err != nil || len(titles) != 46 || titles[0] != "Algeria" || titles[45] != "Yemen" {
		t.Errorf("%d titles: %v, %v", len(titles), titles, err)
	}
	if _, err := Run(t.Context(), o, nil, durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent}); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "none of the 46 titles") {
		t.Errorf("none of them there: %v", err)
	}
}

// critic answers questions about relevance.
type critic struct {
	mu    sync.Mutex
	asked []string
}

func (*critic) Name() string { return "critic" }

func (c *critic) Complete(_ context.Context, r llm.Request) (llm.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.Messages[0].Content
	c.asked = append(c.asked, q)
	answer := "I cannot say."
	for title, a := range map[string]string{"Tea": "Yes, it is.", "Cup": "No. Yes, it mentions Egypt, though."} {
		if strings.Contains(q, `titled "`+title+`"`) && strings.Contains(q, title+" is a thing") {
			answer = a
		}
	}
	return llm.Response{Text: answer, FinishReason: llm.FinishStop}, nil
}

// TestRelevance: the model judges the pages that links lead to, and only relevant ones are
// fetched and followed. Verdicts are recorded.
func TestRelevance(t *testing.T) {
	f := newFakeWiki(t)
	o := apiOptions(t, f, "Coffee")
	o.Links, o.Relevance = 2, true
	model := &critic{}
	out, m := runAPI(t, o, &Judge{Client: model})
	if got := titlesOf(rows(t, out)); got != "Coffee Tea" || m.Counts["rejected_irrelevant"] != 2 || len(model.asked) != 3 || f.texts != 2 {
		t.Errorf("%q, %v, %d questions, %d texts", got, m.Counts, len(model.asked), f.texts)
	}
	if !strings.Contains(string(m.Options), `"relevance_model":"critic"`) {
		t.Errorf("options %s", m.Options)
	}
	if _, err := Run(t.Context(), o, nil, durable.Env{Out: t.TempDir(), Progress: progress.Silent}); !badinput.Is(err) {
		t.Errorf("without a model: %v", err)
	}
	o.RelevancePrompt = filepath.Join(t.TempDir(), "prompt.txt")
	if err := os.WriteFile(o.RelevancePrompt, []byte("Is {title} good?"), 0o666); err != nil {
		t.Fatal(err)
	}
	env := durable.Env{Out: filepath.Join(t.TempDir(), "out"), Progress: progress.Silent}
	if _, err := Run(t.Context(), o, &Judge{Client: model}, env); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "no {summary}") {
		t.Errorf("a prompt without a place for the summary: %v", err)
	}
}

func TestReadVerdict(t *testing.T) {
	for text, want := range map[string]string{
		"Yes": "yes", " **Yes**, because": "yes", "No": "no", "No. Yes, in part": "no", "نعم، لأن": "yes", "لا.": "no", "yesterday": "",
		"The answer is Yes": "", "": "", "<think>No, wait</think>\nYes": "yes", "NO!": "no", "Not sure": "",
	} {
		v, ok := readVerdict(text)
		got := map[bool]string{true: "no"}[ok]
		if v.Yes {
			got = "yes"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
