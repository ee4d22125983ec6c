package wiki

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"barka/internal/dataset"
	"barka/internal/mediawiki"
)

//go:embed data/seed_titles.txt
var seedTitles string

// SeedTitles returns the 46 titles from which the original started.
func SeedTitles() (titles []string) {
	for line := range strings.Lines(seedTitles) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			titles = append(titles, line)
		}
	}
	return titles
}

// chooser finds the pages of a wiki that are to be read.
type chooser struct {
	o      Options
	client *mediawiki.Client
	// relevant returns which pages to keep, and rejects the others; nil keeps all.
	relevant func(ctx context.Context, pages []mediawiki.Resolved) ([]mediawiki.Resolved, error)

	pages []mediawiki.Resolved
	again []mediawiki.Resolved // named pages that came before, under another title
	known map[int64]bool
	// dead counts the links to pages that the wiki does not have, and asked the titles named
	// by the user, categories, searches and links.
	dead, asked int
}

// choose returns the pages: those named, in order of title, then those of categories and
// searches, then level by level those that they link to. Each page comes once, whatever
// aliases lead to it. Titles that were named and have no page are among them, as missing.
func (c *chooser) choose(ctx context.Context, titles []string) ([]mediawiki.Resolved, error) {
	c.known = map[int64]bool{}
	named, err := c.add(ctx, titles, true)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, category := range c.o.Categories {
		more, err := c.client.Category(ctx, category, c.o.Depth)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	for _, query := range c.o.Search {
		more, err := c.client.Search(ctx, query, c.o.SearchLimit)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	more, err := c.add(ctx, found, false)
	if err != nil {
		return nil, err
	}
	level := append(named, more...)
	for range c.o.Links {
		links, err := c.client.Links(ctx, level)
		if err != nil {
			return nil, err
		}
		if level, err = c.add(ctx, links, false); err != nil {
			return nil, err
		}
	}
	return c.pages, mediawiki.TooMany(len(c.pages))
}

// add resolves titles and adds the pages that are new. It returns the ids of the articles
// among them, whose links may be followed. Pages that were not named have to be relevant.
func (c *chooser) add(ctx context.Context, titles []string, named bool) (articles []int64, err error) {
	slices.Sort(titles)
	titles = slices.Compact(titles)
	c.asked += len(titles)
	if err := mediawiki.TooMany(c.asked); err != nil {
		return nil, err
	}
	all, err := c.client.Resolve(ctx, titles)
	if err != nil {
		return nil, err
	}
	var fresh []mediawiki.Resolved
	for _, r := range all {
		switch {
		case r.Missing && named:
			c.pages = append(c.pages, r)
		case r.Missing:
			c.dead++
		case c.known[r.ID] && named:
			c.again = append(c.again, r)
		case !c.known[r.ID]:
			fresh = append(fresh, r)
			c.known[r.ID] = true
		}
	}
	if c.relevant != nil && !named {
		if fresh, err = c.relevant(ctx, fresh); err != nil {
			return nil, err
		}
	}
	for _, r := range fresh {
		if c.pages = append(c.pages, r); !r.Disambiguation && r.Namespace == 0 {
			articles = append(articles, r.ID)
		}
	}
	return articles, nil
}

// refusedPage says why a page that was found is not fetched.
func refusedPage(r mediawiki.Resolved) refusal {
	switch {
	case r.Missing:
		return refusal{Reason: missingPage}
	case r.Disambiguation:
		return refusal{Reason: "disambiguation"}
	case r.Namespace != 0:
		return refusal{"not_an_article", fmt.Sprintf("namespace %d", r.Namespace)}
	}
	return refusal{}
}

// rowOf is the row of a page without text.
func (s *stage) rowOf(r mediawiki.Resolved) dataset.Passage {
	return dataset.Passage{Dataset: s.o.Dataset, Title: r.Title, URL: mediawiki.PageURL(r.URL, r.Title, r.Revision),
		Revision: r.Revision, Licence: s.licence}
}
