package wiki

import (
	"iter"
	"strings"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
)

// rawPage is a page of a source that is read from its beginning to its end.
type rawPage struct {
	name string // in messages
	size int    // bytes of its text
	// make turns it into passages; ok is false for a page that is not chosen. It is called by
	// a worker. nil for a page that is known not to be chosen.
	make func() (m madePage, ok bool, err error)
}

// sequence is such a source. Its units are ranges of pages.
type sequence struct {
	pages    iter.Seq2[rawPage, error]
	total    int64 // of position
	what     string
	position func() int64
	close    func() error
	name     string // of the file
}

// Bounds of a unit of a sequence: so many pages, or so much text.
const (
	unitPages = 100
	unitText  = 2 << 20
)

func (q *sequence) Close() error { return q.close() }
func (q *sequence) size() int64  { return q.total }
func (q *sequence) unit() string { return q.what }

func (q *sequence) units(done func(int) bool, send func(unit) bool) error {
	var pages []rawPage
	number, text, at, last := 0, 0, int64(0), ""
	flush := func(damage string) bool {
		u := unit{number: number, key: number, amount: q.position() - at}
		at += u.amount
		if !done(number) {
			batch := pages
			u.read = func() (unitResult, error) { return makeAll(batch, damage), nil }
		}
		number, text, pages = number+1, 0, nil
		return send(u)
	}
	for p, err := range q.pages {
		if err != nil {
			if last == "" {
				return badinput.Errorf("%s: %w", q.name, err)
			}
			flush(damageAt(err, last))
			return nil
		}
		if last = p.name; p.make != nil {
			pages, text = append(pages, p), text+p.size
		}
		if (len(pages) >= unitPages || text >= unitText) && !flush("") {
			return nil
		}
	}
	flush("")
	return nil
}

// makeAll makes the pages of a unit. A page that cannot be read is damage.
func makeAll(pages []rawPage, damage string) (r unitResult) {
	var places []string
	for _, p := range pages {
		m, ok, err := p.make()
		switch {
		case err != nil:
			places = append(places, p.name+": "+err.Error())
		case ok:
			r.Pages = append(r.Pages, m)
		}
	}
	if damage != "" {
		places = append(places, damage)
	}
	r.Damage = strings.Join(places, "; ")
	return r
}

// openXML opens a dump without streams.
func (d *dumpPages) openXML() (*sequence, error) {
	f, err := mediawiki.OpenDump(d.s.o.Dump)
	if err != nil {
		return nil, err
	}
	return &sequence{pages: d.xml(f), total: f.Size(), what: "bytes", position: f.Position, close: f.Close, name: d.s.o.Dump}, nil
}

func (d *dumpPages) xml(f *mediawiki.DumpFile) iter.Seq2[rawPage, error] {
	return func(yield func(rawPage, error) bool) {
		site := &mediawiki.Site{}
		for p, err := range mediawiki.Pages(f, site) {
			if err == nil && d.site == nil { // the header comes before the first page
				d.begin(site)
			}
			raw := rawPage{name: p.Title, size: len(p.Text)}
			if err == nil && d.chosen(p) {
				raw.make = func() (madePage, bool, error) { return d.make(p), true, nil }
			}
			if !yield(raw, err) || err != nil {
				return
			}
		}
		if d.site == nil {
			d.begin(site)
		}
	}
}
