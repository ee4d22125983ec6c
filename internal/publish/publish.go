// Package publish prepares what a run made for the hub: it chooses the files of a dataset,
// an adapter or a model, writes its card, and refuses licences that contradict each other.
package publish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/lora"
)

// Options are what a publication states beside the files. All paths are of this machine.
type Options struct {
	// License is the hub's tag of the licence; "" is the strictest that the parts ask for.
	License string
	// BaseModel is the hub id of the base model, if the adapter names a local directory.
	BaseModel string
	// Dataset is the hub id under which the training data are published.
	Dataset string
	// Adapter is the adapter that a model was merged from, Data the dataset that the adapter
	// was trained on. Without them, directories beside the published one are tried. Their
	// digests must be those that the training recorded.
	Adapter, Data string
	// Results and BaseResults are output directories of evaluations of the published model
	// and of its base.
	Results, BaseResults string
	// Recipe is the recipe file of the run, which is published too.
	Recipe string
}

// What is published.
const (
	Dataset = "dataset"
	Adapter = "adapter"
	Model   = "model"
)

// Package is what will be published.
type Package struct {
	What    string // Dataset, Adapter or Model
	Dir     string
	Sources []hub.Source
	// Card is the text of README.md, and Generated is set if barka wrote it.
	Card      []byte
	Generated bool
	License   string
	Notes     []string
	// Left are files of the directory that are not published.
	Left []string
}

// Kind returns the kind of repository.
func (p *Package) Kind() hub.Kind {
	if p.What == Dataset {
		return hub.Dataset
	}
	return hub.Model
}

const (
	cardFile   = "README.md"
	configFile = "config.json"
)

// Open prepares the directory dir for the repository id.
func Open(ctx context.Context, dir, id string, o Options) (*Package, error) {
	if there, err := badinput.IsDir(dir); err != nil || !there {
		return nil, cmp.Or(badinput.Wrap(err), badinput.Errorf("%s is not a directory; expected a dataset, an adapter or a model", dir))
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &Package{Dir: dir}
	var err error
	switch {
	case isFile(dir, lora.ConfigFile):
		p.What = Adapter
		err = p.openModel(ctx, id, o)
	case dataset.HasManifest(dir):
		p.What = Dataset
		err = p.openDataset(ctx, id, o)
	case isFile(dir, configFile):
		p.What = Model
		err = p.openModel(ctx, id, o)
	default:
		return nil, badinput.Errorf("%s is neither a dataset (%s), nor an adapter (%s), nor a model (%s)", dir, dataset.ManifestName,
			lora.ConfigFile, configFile)
	}
	if err != nil {
		return nil, err
	}
	return p, p.finish(o)
}

func isFile(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

// check refuses names that are not of the hub.
func (o Options) check() error {
	for _, f := range []struct {
		flag, value string
		kind        hub.Kind
	}{{"--base-model", o.BaseModel, hub.Model}, {"--dataset", o.Dataset, hub.Dataset}} {
		if f.value == "" {
			continue
		}
		if _, err := hub.ParseRepo(f.kind, f.value); err != nil {
			return badinput.Errorf("%s: %w", f.flag, err)
		}
	}
	if strings.ContainsFunc(o.License, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-')
	}) {
		return badinput.Errorf("--license %q is not a tag of the hub; expected one such as apache-2.0, cc-by-sa-4.0, gemma or other", o.License)
	}
	return nil
}

func (p *Package) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// add adds a file of the directory.
func (p *Package) add(name string) {
	p.Sources = append(p.Sources, hub.Source{Path: name, File: filepath.Join(p.Dir, filepath.FromSlash(name))})
}

// addFiles adds the files of the directory for which take returns true, and lists the
// others. Directories below it are listed by their names.
func (p *Package) addFiles(take func(name string) bool) error {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return badinput.Wrap(err)
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(p.Dir, name)
		if dir, err := badinput.IsDir(path); err != nil {
			return badinput.Wrap(err)
		} else if dir {
			p.Left = append(p.Left, name+"/")
			continue
		}
		if name == cardFile {
			continue
		}
		if strings.HasPrefix(name, ".") && name != ".gitignore" && name != ".gitattributes" || !take(name) {
			p.Left = append(p.Left, name)
			continue
		}
		p.add(name)
	}
	return nil
}

// finish adds the card and the recipe.
func (p *Package) finish(o Options) error {
	if o.Recipe != "" {
		if err := badinput.Regular(o.Recipe); err != nil {
			return err
		}
		p.Sources = append(p.Sources, hub.Source{Path: "recipe.yaml", File: o.Recipe})
	}
	if p.Generated {
		p.Card = mark(p.Card)
	}
	p.Sources = append(p.Sources, hub.Source{Path: cardFile, Data: p.Card})
	slices.SortFunc(p.Sources, func(a, b hub.Source) int { return cmp.Compare(a.Path, b.Path) })
	return nil
}

// files lists the published names.
func (p *Package) files() []string {
	var names []string
	for _, s := range p.Sources {
		names = append(names, s.Path)
	}
	return names
}

// Keep decides between our card and the repository's, which is nil if there is none. A
// generated card does not replace one that somebody wrote there.
func (p *Package) Keep(there []byte) (kept bool) {
	if there == nil || !p.Generated || ours(there) || bytes.Equal(bytes.TrimSpace(there), bytes.TrimSpace(p.Card)) {
		return false
	}
	p.Sources = slices.DeleteFunc(p.Sources, func(s hub.Source) bool { return s.Path == cardFile })
	return true
}

// openModel prepares an adapter or a model.
func (p *Package) openModel(ctx context.Context, id string, o Options) error {
	l, err := p.lineage(ctx, o)
	if err != nil {
		return err
	}
	if err := p.addFiles(func(name string) bool { return !stray(name) }); err != nil {
		return err
	}
	if p.What == Adapter {
		if !slices.ContainsFunc(p.files(), func(n string) bool { return n == lora.WeightsFile || n == "adapter_model.bin" }) {
			return badinput.Errorf("%s has no %s; an adapter is published when its training is finished", p.Dir, lora.WeightsFile)
		}
		if err := p.renameBase(l, o); err != nil {
			return err
		}
	}
	if own, err := p.ownCard(l); err != nil || own {
		if err == nil {
			err = p.checkStated(l, o)
		}
		return err
	}
	r, err := readResults(o)
	if err != nil {
		return err
	}
	if p.License, err = l.license(p, id, o); err != nil {
		return err
	}
	p.Generated = true
	p.Card = modelCard(p, l, r, id, o)
	return nil
}

// stray reports whether a file is a by-product that readers of a model have no use for.
func stray(name string) bool {
	for _, suffix := range []string{".lock", ".incomplete", ".tmp", ".log"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return slices.Contains([]string{"optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"}, name)
}

// ownCard takes the README.md of the directory as the card, and reports whether there is
// one. A merged model has a copy of its base's, which is not its own.
func (p *Package) ownCard(l *lineage) (bool, error) {
	data, err := badinput.ReadFile(filepath.Join(p.Dir, cardFile), badinput.MaxSettings)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, badinput.Wrap(err)
	}
	if l.merged && l.copied[cardFile] || ours(data) {
		return false, nil
	}
	p.Card = data
	return true, nil
}

// renameBase publishes the adapter's configuration with the hub id of its base.
func (p *Package) renameBase(l *lineage, o Options) error {
	if l.config.BaseModel == l.base {
		return nil
	}
	path := filepath.Join(p.Dir, lora.ConfigFile)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return badinput.Wrap(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return badinput.Errorf("%s: %w", path, err)
	}
	if all["base_model_name_or_path"], err = json.Marshal(l.base); err != nil {
		return err
	}
	if data, err = json.MarshalIndent(all, "", "  "); err != nil {
		return err
	}
	for i, s := range p.Sources {
		if s.Path == lora.ConfigFile {
			p.Sources[i] = hub.Source{Path: s.Path, Data: append(data, '\n')}
		}
	}
	p.note("%s names %q as its base; %s is published in its place", lora.ConfigFile, l.config.BaseModel, l.base)
	return nil
}
