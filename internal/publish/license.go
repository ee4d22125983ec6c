package publish

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/licence"
	"barka/internal/stage/mix"
)

// source is where rows come from and how they are licensed.
type source struct{ dataset, licence string }

// rows describes the rows of a dataset.
type rows struct {
	manifest  *dataset.Manifest
	name      string // of the set, "" if its stage names none
	sources   map[source]int64
	languages map[string]bool
}

// readRows reads a dataset's sources, of its training and its validation rows.
func readRows(ctx context.Context, dir string) (*rows, error) {
	m, err := dataset.ManifestIfAny(dir)
	if err != nil {
		return nil, err
	}
	r := &rows{manifest: m, sources: map[source]int64{}, languages: map[string]bool{}}
	type row struct {
		Dataset  string `json:"dataset" parquet:"dataset"`
		Licence  string `json:"licence" parquet:"licence"`
		Language string `json:"language" parquet:"language"`
	}
	sets := []string{dir}
	if sub := filepath.Join(dir, mix.ValidationName); dataset.HasManifest(sub) {
		sets = append(sets, sub)
	} else if there, err := badinput.IsDir(sub); err == nil && there {
		sets = append(sets, sub)
	}
	for _, set := range sets {
		for one, err := range dataset.Rows[row](ctx, set) {
			if err != nil {
				return nil, err
			}
			r.sources[source{one.Dataset, one.Licence}]++
			if one.Language != "" {
				r.languages[mix.LanguageTag(one.Language)] = true
			}
		}
	}
	return r, nil
}

// sorted lists the sources by name.
func (r *rows) sorted() []source {
	return slices.SortedFunc(maps.Keys(r.sources), func(a, b source) int {
		return cmp.Or(cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.licence, b.licence))
	})
}

// against returns what the first source has against a licence, by a rule of package licence.
func (r *rows) against(rule func(licence.Terms) string) string {
	for _, s := range r.sorted() {
		t := licence.Read(s.licence)
		if !t.Known {
			continue
		}
		if why := rule(t); why != "" {
			return fmt.Sprintf("%d rows of %s are under %q, which %s", r.sources[s], s.dataset, s.licence, why)
		}
	}
	return ""
}

// unknown counts the rows whose terms are not known.
func (r *rows) unknown() (n int64) {
	for s, rows := range r.sources {
		if !licence.Read(s.licence).Known {
			n += rows
		}
	}
	return n
}

// other is the hub's tag of licences that it has no tag for.
const other = "other"

// license returns the tag of a model's licence, or an error if it contradicts the base's or
// the data's.
func (l *lineage) license(p *Package, id string, o Options) (string, error) {
	base := l.baseLicense(p)
	if o.License != "" {
		return o.License, l.allows(p, base, o.License, "--license")
	}
	switch {
	case base == "":
		p.note("the licence of the base model is not known; state yours with --license")
		return "unknown", nil
	case l.data != nil:
		set := licence.Read(base)
		if why := l.data.against(func(t licence.Terms) string { return t.ForbidsUse(set) }); why != "" {
			p.note("the card states the licence other: %s, and the base model is under %s; both terms are in the card", why, base)
			return other, nil
		}
	}
	return base, nil
}

// allows returns an error if a model's licence contradicts the base's or the data's.
func (l *lineage) allows(p *Package, base, set, where string) error {
	if set == other || set == "unknown" || set == "" {
		return nil
	}
	terms := licence.Read(set)
	of := licence.Read(base)
	if !terms.Known && !of.Own {
		p.note("the terms of %s are not known here; they are compared with nothing", set)
		return nil
	}
	if of.Known {
		if why := of.Forbids(terms); why != "" {
			return badinput.Errorf("%s %s contradicts the base model%s: it is under %s, which %s; publish under %s, or under %s with the terms "+
				"of both in the card", where, set, named(l.base), base, why, base, other)
		}
	}
	if l.data == nil {
		return nil
	}
	if why := l.data.against(func(t licence.Terms) string { return t.ForbidsUse(terms) }); why != "" {
		return badinput.Errorf("%s %s contradicts the training data: %s; publish under a licence that keeps this, or under %s with the terms "+
			"of all in the card", where, set, why, other)
	}
	if n := l.data.unknown(); n > 0 {
		p.note("%d rows of the training data have no licence that is known here", n)
	}
	return nil
}

// checkStated compares the licence that the directory's own card states.
func (p *Package) checkStated(l *lineage, o Options) error {
	m, err := p.stated(o)
	if err != nil {
		return err
	}
	p.License = m.License
	return l.allows(p, l.baseLicense(p), m.License, filepath.Join(p.Dir, cardFile)+": license")
}

// stated reads the front matter of the directory's own card.
func (p *Package) stated(o Options) (matter, error) {
	path := filepath.Join(p.Dir, cardFile)
	m, err := readMatter(p.Card)
	if err != nil {
		return m, badinput.Errorf("%s: %w", path, err)
	}
	if o.License != "" && m.License != "" && o.License != m.License {
		return m, badinput.Errorf("%s states the licence %s, and --license %s; change one of them", path, m.License, o.License)
	}
	if m.License == "" {
		p.note("%s states no licence in its YAML header", path)
	}
	return m, nil
}

func named(id string) string {
	if id == "" {
		return ""
	}
	return " " + id
}
