// Package licence reads names of licences and compares what they ask for.
package licence

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Terms are what a licence asks of those who pass the work on. Only what barka compares is
// here; a card is no legal advice.
type Terms struct {
	Stated bool   // some licence is stated
	Known  bool   // and it is one that this program knows
	Tag    string // the hub's name of it
	// The demands. Own is set for the terms of a model family, which go with every model
	// that is derived from it.
	Attribution, ShareAlike, NonCommercial, ResearchOnly, NoDerivatives, Own bool
	// Notice is a sentence that the terms want to be passed on.
	Notice string
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

// Read recognises a licence by its name or address.
func Read(licence string) Terms {
	s := strings.TrimSpace(licence)
	if unstated.MatchString(s) {
		return Terms{}
	}
	t := Terms{Stated: true, Known: true, Attribution: true}
	if research.MatchString(s) {
		t.ResearchOnly, t.NonCommercial = true, true
		return t
	}
	for _, p := range []*regexp.Regexp{ccAddress, creativeCommons, ccWords} {
		if m := p.FindStringSubmatch(s); m != nil {
			return t.creativeCommons(m[1], m[2])
		}
	}
	if publicDomain.MatchString(s) {
		return Terms{Stated: true, Known: true, Tag: "cc0-1.0"}
	}
	for _, tag := range slices.Sorted(maps.Keys(permissive)) {
		if permissive[tag].MatchString(s) {
			t.Tag = tag
			return t
		}
	}
	for _, o := range own {
		if m := o.pattern.FindStringSubmatch(s); m != nil {
			t.Own, t.Notice, t.Tag = true, o.notice, strings.ToLower(strings.Join(m[1:], ""))
			t.family = t.Tag
			return t
		}
	}
	return Terms{Stated: true}
}

// own are the terms of model families. The groups of a pattern make the hub's tag.
var own = []struct {
	pattern *regexp.Regexp
	notice  string
}{
	{regexp.MustCompile(`(?i)^(gemma)\b`),
		"Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms."},
	{regexp.MustCompile(`(?i)^(llama)[ -]?(\d(?:\.\d)?)\b`), "Built with Llama. Llama is licensed under the Llama Community License, " +
		"Copyright © Meta Platforms, Inc. All Rights Reserved."},
}

// ForbidsUse is Forbids for a work that is not derived from the text but trained on it: only
// what restricts the use of the result counts.
func (t Terms) ForbidsUse(set Terms) string {
	t.ShareAlike, t.Attribution, t.NoDerivatives, t.Own = false, false, false, false
	return t.Forbids(set)
}

// models are the licences of published models, by their ids: what their cards state. The
// first pattern that matches counts.
var models = []struct {
	pattern *regexp.Regexp
	tag     string
}{
	{regexp.MustCompile(`(?i)(^|/)([\w.]+-)*gemma`), "gemma"},
	{regexp.MustCompile(`(?i)^meta-llama/Llama-2`), "llama2"},
	{regexp.MustCompile(`(?i)^meta-llama/(Meta-)?Llama-3-`), "llama3"},
	{regexp.MustCompile(`(?i)^meta-llama/(Meta-)?Llama-3\.1`), "llama3.1"},
	{regexp.MustCompile(`(?i)^meta-llama/Llama-3\.2`), "llama3.2"},
	{regexp.MustCompile(`(?i)^meta-llama/Llama-3\.3`), "llama3.3"},
	{regexp.MustCompile(`(?i)^HuggingFaceTB/SmolLM`), "apache-2.0"},
	{regexp.MustCompile(`(?i)^Qwen/Qwen3-`), "apache-2.0"},
	{regexp.MustCompile(`(?i)^Qwen/Qwen2\.5-(0\.5|1\.5|7|14|32)B`), "apache-2.0"},
	{regexp.MustCompile(`(?i)^EleutherAI/pythia`), "apache-2.0"},
	{regexp.MustCompile(`(?i)^facebook/nllb`), "cc-by-nc-4.0"},
	{regexp.MustCompile(`(?i)^facebook/m2m100`), "mit"},
}

// OfModel returns the tag of a published model's licence, or "" for a model that is not
// known here.
func OfModel(id string) string {
	for _, m := range models {
		if m.pattern.MatchString(id) {
			return m.tag
		}
	}
	return ""
}

// creativeCommons fills in the conditions, as letters or as words.
func (t Terms) creativeCommons(conditions, version string) Terms {
	c := strings.ToLower(conditions)
	t.NonCommercial = strings.Contains(c, "nc") || strings.Contains(c, "commercial")
	t.NoDerivatives = strings.Contains(c, "nd") || strings.Contains(c, "deriv")
	t.ShareAlike = strings.Contains(c, "sa") || strings.Contains(c, "alike")
	t.version = cmp.Or(version, "4.0")
	t.family = "cc-by"
	for _, part := range []struct {
		is   bool
		name string
	}{{t.NonCommercial, "-nc"}, {t.NoDerivatives, "-nd"}, {t.ShareAlike, "-sa"}} {
		if part.is {
			t.family += part.name
		}
	}
	t.Tag = t.family + "-" + t.version
	return t
}

// Forbids returns what a work under t has against passing it on under set, or "" if
// nothing.
func (t Terms) Forbids(set Terms) string {
	switch {
	case t.ResearchOnly && !set.ResearchOnly:
		return "is for non-commercial research only"
	case t.NonCommercial && !set.NonCommercial:
		return "forbids commercial use"
	case t.NoDerivatives && !set.NoDerivatives:
		return "forbids derived works"
	case t.Own && t.family != set.family:
		return "must be passed on under its own terms (" + t.Tag + ")"
	case t.ShareAlike && (t.family != set.family || set.version < t.version):
		return "must be passed on under " + t.family + "-" + t.version + " or a later version"
	case t.Attribution && !set.Attribution:
		return "asks for attribution"
	}
	return ""
}
