package mix

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/licence"
)

// use is how rows of a dataset are licensed, and by whom they were made.
type use struct{ dataset, licence, author, translator string }

// useOf describes the rows of a class. Sets of instructions come from people, from
// machines and from both, and do not say so.
func useOf(c *class) use {
	u := use{c.Dataset, c.Licence, "people", "–"}
	switch {
	case c.Generator != "":
		u.author = machine + c.Generator
	case c.Form == dataset.FormInstruction || c.Form == "":
		u.author = "not stated"
	}
	if c.Translator != "" {
		u.translator = machine + c.Translator
	}
	return u
}

const machine = "machine: "

// used counts the different rows of the mix by their use.
func (m *mixer) used() map[use]int64 {
	used := map[use]int64{}
	for _, c := range m.classes {
		if c.Rows > 0 {
			used[useOf(c)] += c.Rows
		}
	}
	return used
}

// uses lists them in order, the set's own name of a licence last.
func (m *mixer) uses() []use {
	return slices.SortedFunc(maps.Keys(m.used()), func(a, b use) int {
		return cmp.Or(cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.licence, b.licence),
			cmp.Compare(a.author, b.author), cmp.Compare(a.translator, b.translator))
	})
}

// checkLicence refuses a licence of the set that one of its rows' forbids.
func (m *mixer) checkLicence() error {
	if m.o.Licence == "" {
		return nil
	}
	set := licence.Read(m.o.Licence)
	if !set.Known {
		m.notes = append(m.notes, fmt.Sprintf("the terms of the licence %q are not known here: they were not compared "+
			"with those of the rows", m.o.Licence))
		return nil
	}
	used := m.used()
	for _, u := range m.uses() {
		t := licence.Read(u.licence)
		if !t.Known {
			m.notes = append(m.notes, fmt.Sprintf("%d rows of %s have %s: that %s covers them is for you to know",
				used[u], u.dataset, licenceName(u.licence), m.o.Licence))
			continue
		}
		if why := t.Forbids(set); why != "" {
			return badinput.Errorf("mix: the set cannot be licensed as %s: %d rows of %s are under %q, which %s; leave "+
				"the licence out, and the card states the terms of every source, or leave out %s",
				m.o.Licence, used[u], u.dataset, u.licence, why, u.dataset)
		}
	}
	return nil
}

func licenceName(s string) string {
	if !licence.Read(s).Stated {
		return "no known licence"
	}
	return fmt.Sprintf("a licence that is not known here (%q)", s)
}

// tag is the hub's name of the set's licence: the one asked for, or the
// strictest of the rows' if it covers all of them, else other.
func (m *mixer) tag() string {
	if m.o.Licence != "" {
		return m.o.Licence
	}
	var all []licence.Terms
	stated := false
	for u := range m.used() {
		all = append(all, licence.Read(u.licence))
		stated = stated || all[len(all)-1].Stated
	}
	if !stated {
		return "unknown"
	}
	var covering []string
	for _, set := range all {
		if set.Tag == "" || slices.Contains(covering, set.Tag) {
			continue
		}
		if !slices.ContainsFunc(all, func(t licence.Terms) bool { return !t.Known || t.Forbids(set) != "" }) {
			covering = append(covering, set.Tag)
		}
	}
	if len(covering) == 0 {
		return "other"
	}
	return slices.Min(covering) // equally strict: the same text under two names
}

// licences writes what the sources ask for, and what that comes to.
func (m *mixer) licences(b *strings.Builder) {
	b.WriteString("\n## Licence\n\nEvery row keeps the licence of its source, in its column `licence`.\n\n| dataset | " +
		"conversations | licence | written by | translated by |\n|---|---:|---|---|---|\n")
	demands, used := map[string][]string{}, m.used() // demands to datasets
	for _, u := range m.uses() {
		t := licence.Read(u.licence)
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", u.dataset, used[u],
			cmp.Or(strings.TrimSpace(u.licence), "unknown"), u.author, u.translator)
		for _, d := range []struct {
			is   bool
			name string
		}{
			{t.ResearchOnly, "**For research only**"}, {t.NonCommercial, "**Non-commercial**"}, {t.NoDerivatives,
				"**No derived works, which a translation is**"},
			{t.ShareAlike, "**Share alike** (" + t.Tag + ")"}, {t.Attribution, "**Attribution**"}, {!t.Stated,
				"**Unknown**: ask the source before you pass it on"},
			{t.Stated && !t.Known, "**In the source's own words**, which were not read here"},
		} {
			if d.is && !slices.Contains(demands[d.name], u.dataset) {
				demands[d.name] = append(demands[d.name], u.dataset)
			}
		}
	}
	b.WriteString("\nTaken together, the sources ask for:\n\n")
	for _, name := range slices.SortedFunc(maps.Keys(demands),
		func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }) {
		fmt.Fprintf(b, "- %s: %s.\n", name, strings.Join(demands[name], ", "))
	}
	if len(demands) == 0 {
		b.WriteString("- nothing.\n")
	}
	for _, u := range m.uses() {
		if licence.Read(u.licence).ShareAlike && strings.HasPrefix(u.author, machine) {
			b.WriteString("\nPassages of Wikipedia are by its contributors: the columns `title` and `url` of each row " +
				"name the page and its revision.\n")
			break
		}
	}
}

// rank puts the strictest demand first.
func rank(demand string) int {
	for i, start := range []string{"**For", "**No derived", "**Non", "**Share", "**Unknown", "**In", "**Attr"} {
		if strings.HasPrefix(demand, start) {
			return i
		}
	}
	return 9
}
