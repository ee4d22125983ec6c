package wiki

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/mediawiki"
	"barka/internal/wikitext"
)

// dump yields the articles of a dump, or the pages of the titles if there are
// any, and last the titles without a page.
func (s *stage) dump(titles []string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		f, err := mediawiki.OpenDump(s.o.Dump)
		if err != nil {
			yield(page{}, err)
			return
		}
		defer f.Close()
		var site mediawiki.Site
		var want map[string]bool
		var hidden []string
		for p, err := range mediawiki.Pages(f, &site) {
			if err != nil {
				yield(page{}, badinput.Errorf("%s: %w", s.o.Dump, err))
				return
			}
			if want == nil { // the header comes before the first page
				want = wanted(titles, &site)
				s.chosen, hidden = len(want), hiddenNames(&site)
			}
			chosen := want[p.Title]
			if len(titles) > 0 && !chosen || p.Namespace != 0 && !chosen {
				continue
			}
			delete(want, p.Title)
			if !yield(s.dumped(p, &site, hidden), nil) {
				return
			}
		}
		if want == nil {
			want = wanted(titles, &site)
			s.chosen = len(want)
		}
		for _, t := range slices.Sorted(maps.Keys(want)) {
			if !yield(page{Page: mediawiki.Page{Title: t}, refused: dataset.Reject{Reason: missingPage}}, nil) {
				return
			}
		}
	}
}

// missingPage is why a title has no passages.
const missingPage = "missing_page"

func wanted(titles []string, site *mediawiki.Site) map[string]bool {
	want := map[string]bool{}
	for _, t := range titles {
		want[site.Title(t)] = true
	}
	return want
}

// hiddenNames are what the wiki calls the namespaces whose links show nothing.
func hiddenNames(site *mediawiki.Site) (names []string) {
	for _, key := range []int{mediawiki.MediaNamespace, mediawiki.FileNamespace, mediawiki.CategoryNamespace} {
		if name := site.Namespaces[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// dumped is a page of a dump in sections, or with what is against it.
func (s *stage) dumped(p mediawiki.Page, site *mediawiki.Site, hidden []string) page {
	out := page{Page: p, url: mediawiki.PageURL(site.Base, p.Title, p.Revision), licence: s.o.Licence}
	target, redirect := wikitext.Redirect(p.Text)
	switch {
	case p.Namespace != 0:
		out.refused = dataset.Reject{Reason: "not_an_article", Detail: fmt.Sprintf("namespace %d", p.Namespace)}
	case redirect || p.Redirect != "":
		target = cmp.Or(p.Redirect, target)
		out.refused = dataset.Reject{Reason: "redirect", Detail: target}
		if s.chosen > 0 {
			s.redirects = append(s.redirects, p.Title+" → "+target)
		}
	default:
		out.root = wikitext.Parse(p.Text, hidden...)
	}
	return out
}
