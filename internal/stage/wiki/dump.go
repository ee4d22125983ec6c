package wiki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
	"barka/internal/wikitext"
)

// missingPage is why a title has no passages.
const missingPage = "missing_page"

// dumpPages turns the pages of a dump into passages. Workers share it; nothing changes in it
// after the header was read.
type dumpPages struct {
	s      *stage
	titles []string
	site   *mediawiki.Site
	want   map[string]bool // the titles as the dump writes them
	text   *wikitext.Wiki
}

// begin is called when the header was read. It keeps a copy: a dump may have another header
// further on, and workers are at work by then.
func (d *dumpPages) begin(header *mediawiki.Site) {
	site := *header
	d.site, d.want = &site, map[string]bool{}
	d.text = wikitext.New(wikitext.Options{Language: wikitext.Language(site.DB, site.Base), Namespaces: hiddenNames(&site), Data: d.s.data})
	for _, t := range d.titles {
		d.want[site.Title(t)] = true
	}
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

// chosen reports whether a page is one to read: an article, or one of the titles if there
// are any.
func (d *dumpPages) chosen(p mediawiki.Page) bool {
	if len(d.want) > 0 {
		return d.want[p.Title]
	}
	return p.Namespace == 0
}

// make turns a page into passages, or says what is against it.
func (d *dumpPages) make(p mediawiki.Page) madePage {
	out := page{Page: p, url: mediawiki.PageURL(d.site.Base, p.Title, p.Revision), licence: d.s.o.Licence}
	target, redirect := wikitext.Redirect(p.Text)
	switch {
	case p.Namespace != 0:
		out.refused = refusal{"not_an_article", fmt.Sprintf("namespace %d", p.Namespace)}
	case redirect || p.Redirect != "":
		out.refused = refusal{"redirect", cmp.Or(p.Redirect, target)}
	default:
		out.text = d.text.Parse(p.Title, p.Text)
	}
	return d.s.make(out)
}

// dump takes the articles of a dump, or the pages of the titles if there are any, and last
// the titles without a page.
func (s *stage) dump(ctx context.Context, titles []string) (err error) {
	d := &dumpPages{s: s, titles: titles}
	src, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	log, err := openUnitLog(s.run.Dir())
	if err != nil {
		return err
	}
	defer func() {
		if badinput.Is(err) && s.kept == 0 { // other settings may then be given for the same output
			err = errors.Join(err, log.log.Remove())
			return
		}
		err = errors.Join(err, log.log.Close())
	}()
	s.env.Progress.Start("wiki", src.size(), src.unit())
	defer s.env.Progress.Done()
	found := map[string]bool{}
	err = eachUnit(ctx, src, log, s.workers, func(u unit, r unitResult, earlier bool) error {
		if earlier {
			s.env.Progress.Skip(u.amount)
		} else {
			s.env.Progress.Add(u.amount)
		}
		if r.Damage != "" {
			s.damage = append(s.damage, r.Damage)
		}
		for _, p := range r.Pages {
			if len(titles) > 0 {
				found[p.Row.Title] = true
				if p.Refused.Reason == "redirect" {
					s.redirects = append(s.redirects, p.Row.Title+" → "+p.Refused.Detail)
				}
			}
			if err := s.take(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if d.site == nil { // an empty dump, or one whose units were all there
		d.begin(&mediawiki.Site{})
	}
	s.chosen = len(d.want)
	for _, t := range slices.Sorted(maps.Keys(d.want)) {
		if found[t] {
			continue
		}
		if err := s.take(d.s.make(page{Page: mediawiki.Page{Title: t}, refused: refusal{Reason: missingPage}})); err != nil {
			return err
		}
	}
	return cmp.Or(s.nothing(), s.damaged())
}

// damaged returns the error for a dump that could not be read to its end, unless that is
// accepted.
func (s *stage) damaged() error {
	if len(s.damage) == 0 || s.o.AllowDamaged {
		return nil
	}
	return badinput.Errorf("%s: %s. The %d pages that could be read are kept in %s. Get the file again and begin with --restart, "+
		"or make the passages of what was read with --allow-damaged", cmp.Or(s.o.Dump, s.o.Data), s.damageText(), s.kept, s.run.Dir())
}

// damageText lists the places where the dump is damaged.
func (s *stage) damageText() string {
	n := len(s.damage)
	text := strings.Join(s.damage[:min(n, 5)], "; ")
	if n > 5 {
		text += fmt.Sprintf("; and %d more places", n-5)
	}
	return text
}

// dumpUnits is an open dump.
type dumpUnits interface {
	unitSource
	size() int64  // how much will be read
	unit() string // of size
	Close() error
}

// open opens the dump, or other data, as what it is.
func (d *dumpPages) open(ctx context.Context) (dumpUnits, error) {
	if d.s.o.Data != "" {
		return d.openData(ctx)
	}
	path := d.s.o.Dump
	streams, site, err := mediawiki.Streams(path)
	if err != nil {
		return nil, err
	}
	if streams == nil {
		return d.openXML()
	}
	d.begin(site)
	f, err := os.Open(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	m := &multistream{dumpPages: d, f: f, streams: streams}
	for i := range streams {
		m.numbers = append(m.numbers, i)
	}
	if len(d.want) > 0 {
		if err := m.lookUp(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return m, nil
}

// multistream is a dump whose units are its streams.
type multistream struct {
	*dumpPages
	f       *os.File
	streams []mediawiki.Stream
	numbers []int // of the streams to read
}

// lookUp leaves only the streams that the titles are in, if there is an index.
func (m *multistream) lookUp() error {
	index := cmp.Or(m.s.o.Index, mediawiki.FindIndex(m.s.o.Dump))
	if index == "" {
		return nil
	}
	want := maps.Clone(m.want)
	numbers, err := mediawiki.Lookup(index, m.streams, want)
	if err != nil {
		return err
	}
	m.numbers = numbers
	return nil
}

func (m *multistream) Close() error { return m.f.Close() }

func (m *multistream) unit() string { return "bytes" }

func (m *multistream) size() (n int64) {
	for _, i := range m.numbers {
		n += m.streams[i].End - m.streams[i].Offset
	}
	return n
}

func (m *multistream) units(done func(int) bool, send func(unit) bool) error {
	for number, i := range m.numbers {
		s := m.streams[i]
		u := unit{number: number, key: i, amount: s.End - s.Offset}
		if !done(i) {
			u.read = func() (r unitResult, err error) {
				last := ""
				for p, err := range mediawiki.StreamPages(m.f, s, m.site) {
					if err != nil {
						r.Damage = damageAt(err, last)
						break
					}
					if last = p.Title; m.chosen(p) {
						r.Pages = append(r.Pages, m.make(p))
					}
				}
				return r, nil
			}
		}
		if !send(u) {
			return nil
		}
	}
	return nil
}

// damageAt says where a dump is damaged.
func damageAt(err error, last string) string {
	if last == "" {
		return err.Error()
	}
	return fmt.Sprintf("after the page %q: %v", last, err)
}
