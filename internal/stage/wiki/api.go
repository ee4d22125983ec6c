package wiki

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"barka/internal/dataset"
	"barka/internal/mediawiki"
	"barka/internal/printable"
	"barka/internal/wikihtml"
	"barka/internal/wikitext"
)

// interval between requests; 0 is the polite one. Tests make it short.
var interval time.Duration

// client asks the wiki. dir keeps the answers about titles, categories and links of one run
// ("": nowhere).
func (o Options) client(dir string) (*mediawiki.Client, error) {
	return mediawiki.NewClient(mediawiki.ClientOptions{API: o.API, Contact: o.Contact, Concurrency: o.Concurrency,
		CacheDir: dir, Interval: interval})
}

// openCache opens the cache of pages, or returns nil if none is wanted.
func (o Options) openCache() (*mediawiki.Cache, error) {
	dir := o.Cache
	switch dir {
	case NoCache:
		return nil, nil
	case "":
		if dir = mediawiki.DefaultCacheDir(); dir == "" {
			return nil, nil
		}
	}
	return mediawiki.OpenCache(dir, o.API)
}

// api takes the chosen pages of a wiki.
func (s *stage) api(ctx context.Context, wanted []string) error {
	c, err := s.o.client(filepath.Join(s.run.Dir(), "api"))
	if err != nil {
		return err
	}
	if s.licence, err = c.Rights(ctx); err != nil {
		return err
	}
	if s.licence == "" {
		s.licence = s.o.Licence
	}
	choose := &chooser{o: s.o, client: c}
	if s.o.Relevance {
		prompt, err := s.o.prompt()
		if err != nil {
			return err
		}
		choose.relevant = s.relevant(c, prompt)
	}
	pages, err := choose.choose(ctx, wanted)
	if err != nil {
		return err
	}
	s.chosen, s.dead = len(pages)+len(choose.again), choose.dead
	for _, r := range choose.again {
		why := dataset.Reject{Reason: "same_page", Detail: fmt.Sprintf("%s leads to page %d, %s", r.Asked, r.ID, r.Title)}
		if err := s.out.Reject(s.rowOf(r), why); err != nil {
			return err
		}
	}
	cache, err := s.o.openCache()
	if err != nil {
		return err
	}
	titles, err := s.titlesOf(ctx, c, pages)
	if err != nil {
		return err
	}
	text := wikitext.New(wikitext.Options{Language: wikitext.Language("", s.o.API), Data: s.data})
	return s.fetch(ctx, &apiPages{s: s, ctx: ctx, client: c, cache: cache, pages: pages, text: text, titles: titles})
}

// titlesOf returns the titles of pages in the wiki of another language, by the pages' ids.
func (s *stage) titlesOf(ctx context.Context, c *mediawiki.Client, pages []mediawiki.Resolved) (map[int64]string, error) {
	if s.o.TitleLanguage == "" {
		return nil, nil
	}
	var ids []int64
	for _, p := range pages {
		if refusedPage(p).Reason == "" {
			ids = append(ids, p.ID)
		}
	}
	return c.TitlesIn(ctx, ids, s.o.TitleLanguage)
}

// fetch takes the pages that were chosen.
func (s *stage) fetch(ctx context.Context, src *apiPages) (err error) {
	log, err := openUnitLog(s.run.Dir())
	if err != nil {
		return err
	}
	defer func() {
		if s.nothing() != nil { // other titles may then be given for the same output
			err = errors.Join(err, log.log.Remove())
			return
		}
		err = errors.Join(err, log.log.Close())
	}()
	s.env.Progress.Start("wiki", int64(len(src.pages)), "pages")
	defer s.env.Progress.Done()
	err = eachUnit(ctx, src, log, max(s.o.Concurrency, 1), func(_ unit, r unitResult, earlier bool) error {
		if n := int64(len(r.Pages)); earlier || r.cached {
			s.env.Progress.Skip(n)
		} else {
			s.env.Progress.Add(n)
		}
		for _, p := range r.Pages {
			if err := s.take(p); err != nil {
				return err
			}
		}
		return nil
	})
	if src.cache != nil {
		n, size := src.cache.Size()
		s.env.Progress.Note(fmt.Sprintf("wiki: %d pages came from the cache, %d requests went to the wiki; the cache %s has %d pages, %s",
			src.hits.Load(), src.client.Requests(), src.cache.Dir(), n, printable.Bytes(size)))
	}
	if err != nil {
		return err
	}
	return s.nothing()
}

// apiPages is a list of pages in units of as many as a request gives.
type apiPages struct {
	s      *stage
	ctx    context.Context // of the requests
	client *mediawiki.Client
	cache  *mediawiki.Cache // nil for none
	pages  []mediawiki.Resolved
	text   *wikitext.Wiki
	titles map[int64]string // in the wiki of Options.TitleLanguage, by the pages' ids
	hits   atomic.Int64
}

func (a *apiPages) units(done func(int) bool, send func(unit) bool) error {
	number := 0
	for batch := range slices.Chunk(a.pages, a.s.o.Form.PerRequest()) {
		u := unit{number: number, key: number}
		if !done(number) {
			u.read = func() (unitResult, error) { return a.read(batch) }
		}
		number++
		if !send(u) {
			return nil
		}
	}
	return nil
}

// read makes pages of a batch, from the cache if their revisions have not changed.
func (a *apiPages) read(batch []mediawiki.Resolved) (r unitResult, err error) {
	got, ask := make([]mediawiki.Fetched, len(batch)), []mediawiki.Resolved{}
	var at []int // of the pages to ask for
	for i, p := range batch {
		if refusedPage(p).Reason != "" {
			continue
		}
		if a.cache != nil {
			if f, ok := a.cache.Get(a.s.o.Form, p.ID, p.Revision); ok {
				got[i] = f
				a.hits.Add(1)
				continue
			}
		}
		ask, at = append(ask, p), append(at, i)
	}
	if len(ask) > 0 {
		fetched, err := a.client.Fetch(a.ctx, a.s.o.Form, ask)
		if err != nil {
			return r, err
		}
		for k, f := range fetched {
			if got[at[k]] = f; a.cache != nil && !f.Missing && f.Revision > 0 {
				if err := a.cache.Put(a.s.o.Form, f); err != nil {
					return r, err
				}
			}
		}
	}
	r.cached = len(ask) == 0
	for i, p := range batch {
		r.Pages = append(r.Pages, a.made(p, got[i]))
	}
	return r, nil
}

// made turns a page of the wiki into passages.
func (a *apiPages) made(p mediawiki.Resolved, f mediawiki.Fetched) madePage {
	out := page{licence: a.s.licence, refused: refusedPage(p), title: a.titles[p.ID]}
	if out.refused.Reason != "" {
		out.Page = mediawiki.Page{ID: p.ID, Namespace: p.Namespace, Title: p.Title, Revision: p.Revision}
		if p.Missing {
			out.Title = p.Asked
		}
		out.url = mediawiki.PageURL(p.URL, p.Title, p.Revision)
		return a.s.make(out)
	}
	out.Page, out.url = f.Page, mediawiki.PageURL(f.URL, f.Title, f.Revision)
	switch {
	case f.Missing:
		out.refused = refusal{"no_text", "the wiki gives no text of the page"}
	case a.s.o.Form == mediawiki.FormWikitext:
		out.text = a.text.Parse(f.Title, f.Text)
	case a.s.o.Form == mediawiki.FormHTML:
		text, err := wikihtml.Wikitext(f.Text)
		if err != nil {
			out.refused = refusal{"no_text", err.Error()}
			break
		}
		out.text = a.text.Parse(f.Title, text)
	default:
		out.text = &wikitext.Page{Root: wikitext.Tree(f.Text)}
	}
	return a.s.make(out)
}
