package publish

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/licence"
)

// besideRows are files of a dataset directory that its manifest does not list.
var besideRows = []string{dataset.ManifestName, "croissant.json", "LICENSE", "NOTICE", ".gitignore", ".gitattributes"}

// openDataset prepares a dataset directory: its rows, its manifest and its card.
func (p *Package) openDataset(ctx context.Context, id string, o Options) error {
	for flag, given := range map[string]string{"--base-model": o.BaseModel, "--dataset": o.Dataset, "--adapter": o.Adapter, "--data": o.Data,
		"--results": o.Results, "--base-results": o.BaseResults} {
		if given != "" {
			return badinput.Errorf("%s is a dataset; %s is for adapters and models", p.Dir, flag)
		}
	}
	m, err := dataset.ReadManifest(p.Dir)
	if err != nil {
		return err
	}
	if err := dataset.CheckFiles(p.Dir, m.Files); err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, f := range m.Files {
		listed[f.Name] = true
		if strings.Contains(f.Name, "/") {
			p.add(f.Name)
		}
	}
	if err := p.addFiles(func(name string) bool {
		return listed[name] || slices.Contains(besideRows, name)
	}); err != nil {
		return err
	}
	p.Left = slices.DeleteFunc(p.Left, func(name string) bool { // what is below it is listed
		return slices.ContainsFunc(p.files(), func(f string) bool { return strings.HasPrefix(f, name) && strings.HasSuffix(name, "/") })
	})
	r, err := readRows(ctx, p.Dir)
	if err != nil {
		return err
	}
	if p.Card, err = badinput.ReadFile(filepath.Join(p.Dir, cardFile), badinput.MaxSettings); err != nil && !os.IsNotExist(err) {
		return badinput.Wrap(err)
	}
	if p.Card == nil || ours(p.Card) {
		p.Generated = true
		if p.License = o.License; p.License == "" {
			p.License = r.strictest()
		}
		p.Card = datasetCard(m, r, id, p.License)
	} else if m.Stage == "mix" && bytes.Contains(p.Card, []byte("made with Barka")) {
		p.Generated = true
		found, err := readMatter(p.Card)
		if err != nil {
			return badinput.Errorf("%s: %w", filepath.Join(p.Dir, cardFile), err)
		}
		if p.License = found.License; o.License != "" && o.License != found.License {
			p.relicense(o.License)
		}
	} else {
		found, err := p.stated(o)
		if err != nil {
			return err
		}
		p.License = found.License
	}
	return p.allowsRows(r)
}

// relicense states another licence than the mix did. The description in croissant.json
// states the mix's, so it is left out.
func (p *Package) relicense(tag string) {
	p.Card, p.License = setLicense(p.Card, tag), tag
	const croissant = "croissant.json"
	p.Sources = slices.DeleteFunc(p.Sources, func(s hub.Source) bool { return s.Path == croissant })
	p.Left = append(p.Left, croissant)
}

// allowsRows returns an error if the licence of a dataset contradicts that of its rows.
func (p *Package) allowsRows(r *rows) error {
	set := licence.Read(p.License)
	if !set.Known {
		if set.Stated {
			p.note("the terms of %s are not known here; they are not compared with those of the rows", p.License)
		}
		return nil
	}
	if why := r.against(func(t licence.Terms) string { return t.Forbids(set) }); why != "" {
		return badinput.Errorf("%s cannot be published as %s: %s; publish under a licence that keeps this, or under %s, and the card states "+
			"the terms of every source", p.Dir, p.License, why, other)
	}
	if n := r.unknown(); n > 0 {
		p.note("%d rows have no licence that is known here: that %s covers them is for you to know", n, p.License)
	}
	return nil
}

// strictest returns the licence of the rows that covers all of them, or other.
func (r *rows) strictest() string {
	tags := map[string]bool{}
	for s := range r.sources {
		tags[licence.Read(s.licence).Tag] = true
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		set := licence.Read(tag)
		if tag != "" && r.unknown() == 0 && r.against(func(t licence.Terms) string { return t.Forbids(set) }) == "" {
			return tag
		}
	}
	return other
}

// datasetCard is the card of a stage's dataset that has none of its own.
func datasetCard(m *dataset.Manifest, r *rows, id, license string) []byte {
	var b strings.Builder
	_, name, _ := strings.Cut(id, "/")
	frontMatter(&b, license)
	list(&b, "language", slices.Sorted(maps.Keys(r.languages)))
	list(&b, "tags", []string{"barka", "barka-" + m.Stage})
	b.WriteString("configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: part-*.parquet\n---\n")
	fmt.Fprintf(&b, "\n# %s\n\nThe output of `barka %s`: %d rows. `manifest.json` has the options, the digests of the inputs and the "+
		"counts.\n", name, m.Stage, m.Rows)
	sourceTable(&b, r)
	return []byte(b.String())
}

// sourceTable lists the sources of rows with their licences.
func sourceTable(b *strings.Builder, r *rows) {
	b.WriteString("\n| source | rows | licence |\n|---|---:|---|\n")
	for _, s := range r.sorted() {
		text := s.licence
		if text == "" {
			text = "unknown"
		}
		fmt.Fprintf(b, "| %s | %d | %s |\n", cell(s.dataset), r.sources[s], cell(text))
	}
}
