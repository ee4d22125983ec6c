package wiki

import (
	"context"
	"maps"
	"path/filepath"
	"slices"

	"barka/internal/mediawiki"
	"barka/internal/wikitext"
)

// client asks the wiki; its answers are kept in dir ("": nowhere).
func (o Options) client(dir string) (*mediawiki.Client, error) {
	return mediawiki.NewClient(mediawiki.ClientOptions{API: o.API, Contact: o.Contact, CacheDir: dir})
}

// choose adds the pages of the categories and of the links to the titles, and
// returns all of them once, sorted.
func (o Options) choose(ctx context.Context, c *mediawiki.Client, titles []string) ([]string, error) {
	chosen := map[string]bool{}
	add := func(titles []string) error {
		for _, t := range titles {
			chosen[t] = true
		}
		return mediawiki.TooMany(len(chosen))
	}
	if err := add(titles); err != nil {
		return nil, err
	}
	for _, cat := range o.Categories {
		more, err := c.Category(ctx, cat, o.Depth)
		if err == nil {
			err = add(more)
		}
		if err != nil {
			return nil, err
		}
	}
	if o.LinkDepth > 0 {
		for _, t := range slices.Sorted(maps.Keys(chosen)) {
			more, err := c.Links(ctx, t)
			if err == nil {
				err = add(more)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// api takes the chosen pages of a wiki, in order of title.
func (s *stage) api(ctx context.Context, titles []string) error {
	c, err := s.o.client(filepath.Join(s.run.Dir(), "api"))
	if err != nil {
		return err
	}
	licence, err := c.Rights(ctx)
	if err != nil {
		return err
	}
	if licence == "" {
		licence = s.o.Licence
	}
	if titles, err = s.o.choose(ctx, c, titles); err != nil {
		return err
	}
	s.chosen = len(titles)
	s.env.Progress.Start("wiki", int64(len(titles)), "pages")
	defer s.env.Progress.Done()
	for _, t := range titles {
		before := c.Requests
		e, err := c.Extract(ctx, t)
		if err != nil {
			return err
		}
		if c.Requests == before {
			s.env.Progress.Skip(1)
		} else {
			s.env.Progress.Add(1)
		}
		p := page{Page: e.Page, licence: licence, url: mediawiki.PageURL(e.URL, e.Title, e.Revision)}
		switch {
		case e.Missing:
			p.Title, p.refused = t, refusal{Reason: missingPage}
		case e.Disambiguation:
			p.refused = refusal{Reason: "disambiguation"}
		default:
			p.text = &wikitext.Page{Root: wikitext.Tree(e.Text)}
		}
		if err := s.take(s.make(p)); err != nil {
			return err
		}
	}
	return s.nothing()
}
