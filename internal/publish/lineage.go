package publish

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"barka/internal/backend"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/licence"
	"barka/internal/lora"
	"barka/internal/stage/merge"
	"barka/internal/stage/train"
)

// lineage is what an adapter or a model was made of, as far as it is known.
type lineage struct {
	config  *config       // nil for a model whose adapter is unknown
	base    string        // hub id; "" if it is unknown
	state   *train.State  // nil if the training is unknown
	options train.Options // of state
	data    *rows         // nil if the training data are unknown
	merged  bool          // barka merged the model
	origin  merge.Origin
	copied  map[string]bool // files that the merge took from the base
}

// config is what a card needs of an adapter's configuration. Adapters of any program have it,
// also of kinds that barka cannot run.
type config struct {
	BaseModel string `json:"base_model_name_or_path"`
}

// lineage finds out what the directory was made of.
func (p *Package) lineage(ctx context.Context, o Options) (*lineage, error) {
	l := &lineage{}
	adapter := p.Dir
	if p.What == Model {
		var err error
		if adapter, err = l.readOrigin(p, o.Adapter); err != nil {
			return nil, err
		}
	}
	if adapter != "" {
		if err := l.readTraining(adapter); err != nil {
			return nil, err
		}
	}
	if err := l.nameBase(p, o.BaseModel); err != nil {
		return nil, err
	}
	return l, l.readData(ctx, p, adapter, o.Data)
}

// readOrigin reads what a merged model was made of, and returns the directory of its
// adapter, "" if it is unknown.
func (l *lineage) readOrigin(p *Package, given string) (string, error) {
	err := badinput.ReadJSON(filepath.Join(p.Dir, merge.OriginFile), &l.origin)
	if os.IsNotExist(err) {
		if given != "" {
			return "", badinput.Errorf("%s has no %s, so that --adapter cannot be compared with it", p.Dir, merge.OriginFile)
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	l.merged, l.copied = true, map[string]bool{}
	for name := range l.origin.Files {
		l.copied[name] = true
	}
	if given != "" {
		digest, err := backend.Digest(given)
		if err == nil && digest != l.origin.Adapter {
			err = badinput.Errorf("%s was merged from an adapter with the digest %s; that of %s is %s", p.Dir, l.origin.Adapter, given, digest)
		}
		return given, err
	}
	for _, dir := range beside(p.Dir) {
		if isFile(dir, lora.ConfigFile) {
			if digest, err := backend.Digest(dir); err == nil && digest == l.origin.Adapter {
				return dir, nil
			}
		}
	}
	p.note("the adapter that %s was merged from is not beside it; without --adapter DIR the card says nothing about the training", p.Dir)
	return "", nil
}

// beside lists the directories beside dir.
func beside(dir string) []string {
	parent := filepath.Dir(filepath.Clean(dir))
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil // nothing can be found there
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != filepath.Base(dir) {
			all = append(all, filepath.Join(parent, e.Name()))
		}
	}
	return all
}

// readTraining reads an adapter's configuration and the summary of its training. Adapters
// of other programs have none.
func (l *lineage) readTraining(dir string) (err error) {
	l.config = &config{}
	if err := badinput.ReadJSON(filepath.Join(dir, lora.ConfigFile), l.config); err != nil {
		return err
	}
	var s train.State
	err = badinput.ReadJSON(filepath.Join(dir, train.StateFile), &s)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil && len(s.Options) > 0 && json.Unmarshal(s.Options, &l.options) == nil && l.options.Rank > 0 {
		l.state = &s
	}
	return err
}

// nameBase finds the hub id of the base model.
func (l *lineage) nameBase(p *Package, given string) error {
	l.base = given
	if l.base != "" || l.config == nil {
		if l.base == "" && l.merged {
			p.note("the base model is not known; give --base-model ORG/NAME")
		}
		return nil
	}
	name := l.config.BaseModel
	if r, err := hub.ParseRepo(hub.Model, name); err == nil && hub.IsID(name) {
		l.base = r.ID
		return nil
	}
	if p.What == Adapter {
		return badinput.Errorf("%s names its base model as %q, which is not a hub id and means nothing to others; give --base-model ORG/NAME",
			filepath.Join(p.Dir, lora.ConfigFile), name)
	}
	p.note("the adapter names its base model as %q; give --base-model ORG/NAME, so that the card can link to it", name)
	return nil
}

// readData finds the training data by their digest.
func (l *lineage) readData(ctx context.Context, p *Package, adapter, given string) (err error) {
	if l.state == nil || l.state.DataDigest == "" {
		if given != "" {
			return badinput.Errorf("nothing says what %s was trained on, so that --data cannot be compared with it", p.Dir)
		}
		return nil
	}
	if given != "" {
		digest, err := dataset.Digest(ctx, given)
		if err == nil && digest != l.state.DataDigest {
			err = badinput.Errorf("the training read data with the digest %s; that of %s is %s", l.state.DataDigest, given, digest)
		}
		if err == nil {
			l.data, err = readRows(ctx, given)
		}
		return err
	}
	for _, dir := range beside(adapter) {
		if dataset.HasManifest(dir) {
			if digest, err := dataset.Digest(ctx, dir); err == nil && digest == l.state.DataDigest {
				l.data, err = readRows(ctx, dir)
				return err
			}
		}
	}
	p.note("the training data are not beside the adapter; without --data DIR their licences are neither checked nor in the card")
	return ctx.Err()
}

// baseLicense returns the tag of the base model's licence, "" if it is unknown: from its
// card if it is here, by its name, or by its architecture.
func (l *lineage) baseLicense(p *Package) string {
	var cards []string
	if l.merged && l.copied[cardFile] {
		cards = append(cards, p.Dir)
	}
	if l.config != nil {
		cards = append(cards, l.config.BaseModel)
	}
	for _, name := range append(cards, l.base) {
		dir := name
		if there, err := badinput.IsDir(name); name == "" || err != nil {
			continue
		} else if !there {
			if dir, err = hub.Resolve(name); err != nil {
				continue // it is not in the cache
			}
		}
		if data, err := badinput.ReadFile(filepath.Join(dir, cardFile), badinput.MaxSettings); err == nil {
			if m, err := readMatter(data); err == nil && m.License != "" {
				return m.License
			}
		}
	}
	if tag := licence.OfModel(l.base); tag != "" {
		return tag
	}
	var config struct {
		Type string `json:"model_type"`
	}
	if badinput.ReadJSON(filepath.Join(p.Dir, configFile), &config) == nil {
		return licence.OfModel(config.Type)
	}
	return ""
}
