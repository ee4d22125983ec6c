package mix

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// terms are what a licence asks of those who pass the text on. Only what this
// stage compares is here; a card is no legal advice.
type terms struct {
	stated bool // the rows state some licence
	known  bool // and it is one that this program knows
	tag    string
	// The demands.
	attribution, shareAlike, nonCommercial, researchOnly, noDerivatives bool
	// family and version decide what share-alike allows: the same family, in
	// the same version or a later one.
	family, version string
}

var (
	creativeCommons = regexp.MustCompile(`(?i)\bcc[ -]?by((?:[ -](?:sa|nc|nd))*)(?:[ -]v?(\d\.\d))?`)
	ccWords         = regexp.MustCompile(`(?i)creative commons attribution[ -]?([a-z -]*?)(?:[ -]+v?(\d\.\d)|$|[,;(])`)
	ccAddress       = regexp.MustCompile(`(?i)creativecommons\.org/licenses/by((?:-(?:sa|nc|nd))*)/(\d\.\d)`)
	publicDomain    = regexp.MustCompile(`(?i)\bcc0\b|publicdomain/(?:zero|mark)|\bpublic domain\b`)
	research        = regexp.MustCompile(`(?i)\bresearch (?:purposes? )?only\b|\bonly for research\b|\bnon-?commercial research\b`)
	unstated        = regexp.MustCompile(`(?i)^(?:unknown|none|none stated|other)?$`)
)

// permissive are licences that ask for attribution alone, by the hub's tags.
var permissive = map[string]*regexp.Regexp{
	"mit": regexp.MustCompile(`(?i)^mit\b`), "apache-2.0": regexp.MustCompile(`(?i)^apache\b`),
	"bsd-2-clause": regexp.MustCompile(`(?i)^bsd[ -]2\b`),
	"bsd-3-clause": regexp.MustCompile(`(?i)^bsd[ -]3\b`),
	"afl-3.0":      regexp.MustCompile(`(?i)^afl\b|^academic free\b`), "odc-by": regexp.MustCompile(`(?i)^odc[ -]by\b`),
}

// readTerms recognises a licence by its name or address.
func readTerms(licence string) terms {
	s := strings.TrimSpace(licence)
	if unstated.MatchString(s) {
		return terms{}
	}
	t := terms{stated: true, known: true, attribution: true}
	if research.MatchString(s) {
		t.researchOnly, t.nonCommercial = true, true
		return t
	}
	for _, p := range []*regexp.Regexp{ccAddress, creativeCommons, ccWords} {
		if m := p.FindStringSubmatch(s); m != nil {
			return t.creativeCommons(m[1], m[2])
		}
	}
	if publicDomain.MatchString(s) {
		return terms{stated: true, known: true, tag: "cc0-1.0"}
	}
	for _, tag := range slices.Sorted(maps.Keys(permissive)) {
		if permissive[tag].MatchString(s) {
			t.tag = tag
			return t
		}
	}
	return terms{stated: true}
}

// creativeCommons fills in the conditions, as letters or as words.
func (t terms) creativeCommons(conditions, version string) terms {
	c := strings.ToLower(conditions)
	t.nonCommercial = strings.Contains(c, "nc") || strings.Contains(c, "commercial")
	t.noDerivatives = strings.Contains(c, "nd") || strings.Contains(c, "deriv")
	t.shareAlike = strings.Contains(c, "sa") || strings.Contains(c, "alike")
	t.version = cmp.Or(version, "4.0")
	t.family = "cc-by"
	for _, part := range []struct {
		is   bool
		name string
	}{{t.nonCommercial, "-nc"}, {t.noDerivatives, "-nd"}, {t.shareAlike, "-sa"}} {
		if part.is {
			t.family += part.name
		}
	}
	t.tag = t.family + "-" + t.version
	return t
}

// forbids says what a source under t has against passing its rows on under
// set, "" if nothing.
func (t terms) forbids(set terms) string {
	switch {
	case t.researchOnly && !set.researchOnly:
		return "is for non-commercial research only"
	case t.nonCommercial && !set.nonCommercial:
		return "forbids commercial use"
	case t.noDerivatives && !set.noDerivatives:
		return "forbids derived works"
	case t.shareAlike && (t.family != set.family || set.version < t.version):
		return "must be passed on under " + t.family + "-" + t.version + " or a later version"
	case t.attribution && !set.attribution:
		return "asks for attribution"
	}
	return ""
}

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
	set := readTerms(m.o.Licence)
	if !set.known {
		m.notes = append(m.notes, fmt.Sprintf("the terms of the licence %q are not known here: they were not compared "+
			"with those of the rows", m.o.Licence))
		return nil
	}
	used := m.used()
	for _, u := range m.uses() {
		t := readTerms(u.licence)
		if !t.known {
			m.notes = append(m.notes, fmt.Sprintf("%d rows of %s have %s: that %s covers them is for you to know",
				used[u], u.dataset, licenceName(u.licence), m.o.Licence))
			continue
		}
		if why := t.forbids(set); why != "" {
			return badinput.Errorf("mix: the set cannot be licensed as %s: %d rows of %s are under %q, which %s; leave "+
				"the licence out, and the card states the terms of every source, or leave out %s",
				m.o.Licence, used[u], u.dataset, u.licence, why, u.dataset)
		}
	}
	return nil
}

func licenceName(s string) string {
	if unstated.MatchString(strings.TrimSpace(s)) {
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
	var all []terms
	stated := false
	for u := range m.used() {
		all = append(all, readTerms(u.licence))
		stated = stated || all[len(all)-1].stated
	}
	if !stated {
		return "unknown"
	}
	var covering []string
	for _, set := range all {
		if set.tag == "" || slices.Contains(covering, set.tag) {
			continue
		}
		if !slices.ContainsFunc(all, func(t terms) bool { return !t.known || t.forbids(set) != "" }) {
			covering = append(covering, set.tag)
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
		t := readTerms(u.licence)
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", u.dataset, used[u],
			cmp.Or(strings.TrimSpace(u.licence), "unknown"), u.author, u.translator)
		for _, d := range []struct {
			is   bool
			name string
		}{
			{t.researchOnly, "**For research only**"}, {t.nonCommercial, "**Non-commercial**"}, {t.noDerivatives,
				"**No derived works, which a translation is**"},
			{t.shareAlike, "**Share alike** (" + t.tag + ")"}, {t.attribution, "**Attribution**"}, {!t.stated,
				"**Unknown**: ask the source before you pass it on"},
			{t.stated && !t.known, "**In the source's own words**, which were not read here"},
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
		if readTerms(u.licence).shareAlike && strings.HasPrefix(u.author, machine) {
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
