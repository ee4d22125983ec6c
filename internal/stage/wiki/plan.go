package wiki

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
)

// Estimate is what a run will read.
type Estimate struct {
	// Pages is the number of pages chosen; 0 without titles means all.
	Pages int `json:"pages"`
	// Bytes is the size of the source as it lies on disk.
	Bytes int64 `json:"bytes,omitempty"`
	// Cached of the pages are in the cache. Requests go to the wiki for the others. Asked were
	// needed to find that out; a run needs them too.
	Cached   int `json:"cached,omitempty"`
	Requests int `json:"requests,omitempty"`
	Asked    int `json:"asked,omitempty"`
	// Questions is the number of pages that a model would judge, without those that links
	// would add. Fewer pages are then fetched.
	Questions int `json:"questions,omitempty"`
	// Seconds is the least time that the requests take at the polite rate.
	Seconds float64 `json:"seconds,omitempty"`
}

// SecondsPerPage is the time that a page of a wiki takes at the polite rate.
var SecondsPerPage = mediawiki.PoliteInterval.Seconds()

// Size says what a run will read, as far as that is known without asking the
// wiki: the titles that are named, and the size of a source on disk.
func Size(o Options) (Estimate, error) {
	titles, err := o.titles()
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Pages: len(titles)}
	for _, path := range []string{o.Dump, o.Data} {
		if path == "" {
			continue
		}
		err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := os.Stat(filepath.Clean(path))
			if err == nil && info.IsDir() {
				info, err = entry.Info()
			}
			if err == nil {
				e.Bytes += info.Size()
			}
			return err
		})
		if err != nil {
			return Estimate{}, badinput.Wrap(err)
		}
	}
	return e, nil
}

// Plan says what a run will read. With an API it asks for titles, categories,
// searches and links, but for no text. No model is asked.
func Plan(ctx context.Context, o Options) (Estimate, error) {
	if err := o.Validate(); err != nil {
		return Estimate{}, err
	}
	if o.API == "" {
		return Size(o)
	}
	titles, err := o.titles()
	if err != nil {
		return Estimate{}, err
	}
	c, err := o.client("")
	if err != nil {
		return Estimate{}, err
	}
	cache, err := o.openCache()
	if err != nil {
		return Estimate{}, err
	}
	var e Estimate
	choose := &chooser{o: o, client: c}
	if o.Relevance {
		choose.relevant = func(_ context.Context, pages []mediawiki.Resolved) ([]mediawiki.Resolved, error) {
			e.Questions += len(pages)
			return pages, nil
		}
	}
	pages, err := choose.choose(ctx, titles)
	if err != nil {
		return Estimate{}, err
	}
	return e.count(o, pages, cache, c.Requests()), nil
}

func (e Estimate) count(o Options, pages []mediawiki.Resolved, cache *mediawiki.Cache, asked int) Estimate {
	most := len(pages)
	if o.MaxPages > 0 {
		most = min(most, o.MaxPages)
	}
	fetched := 0
	for _, p := range pages {
		if e.Pages == most {
			break
		}
		if refusedPage(p).Reason != "" {
			continue
		}
		e.Pages++
		if cache != nil {
			if _, ok := cache.Get(o.Form, p.ID, p.Revision); ok {
				e.Cached++
				continue
			}
		}
		fetched++
	}
	per := o.Form.PerRequest()
	e.Asked, e.Requests = asked, (fetched+per-1)/per
	e.Seconds = float64(e.Asked+e.Requests) * SecondsPerPage / float64(max(o.Concurrency, 1))
	return e
}
