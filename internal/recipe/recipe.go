// Package recipe reads recipe files and runs their stages in order, each
// resumed where it stopped: the whole way from pages to an evaluated model.
package recipe

import (
	"encoding/json"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"barka/internal/badinput"
	"barka/internal/stage/convert"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/synth"
	"barka/internal/stage/train"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// Recipe is a recipe file. A stage without a block is left out; its place in
// the chain is then taken by what is under inputs.
type Recipe struct {
	Name     string `json:"name"`
	Seed     int64  `json:"seed"`
	Language string `json:"language"` // target language, an NLLB code
	DType    string `json:"dtype"`    // of the models' weights; "" is each checkpoint's own
	Models   Models `json:"models"`
	Inputs   Inputs `json:"inputs"`

	Wiki  *wiki.Options  `json:"wiki"`
	Synth *synth.Options `json:"synth"`
	// Convert has a block for each benchmark among the instructions.
	Convert   map[string]*Convert `json:"convert"`
	Translate *translate.Options  `json:"translate"`
	Filter    *filter.Options     `json:"filter"`
	Mix       *mix.Options        `json:"mix"`
	Train     *train.Options      `json:"train"`
	Merge     bool                `json:"merge"`
	Eval      *Eval               `json:"eval"`

	dir string // of the file; its paths are relative to it
}

// Models names the three models.
type Models struct {
	Generator  Generator `json:"generator"`
	Translator string    `json:"translator"`
	Base       string    `json:"base"`
}

// Generator is a local model, or one behind an endpoint.
type Generator struct {
	Model       string `json:"model"`
	Endpoint    string `json:"endpoint"`
	KeyVariable string `json:"key_variable"`
	RPM         int    `json:"requests_per_minute"`
	Concurrency int    `json:"concurrency"`
}

// Inputs are datasets that enter the chain from outside.
type Inputs struct {
	Passages     string            `json:"passages"`     // instead of wiki
	Instructions map[string]string `json:"instructions"` // more instructions to translate and filter, by name
	Mix          map[string]string `json:"mix"`          // more instructions for the mix, by name
}

// Convert is a benchmark's training set, named by its key in the recipe, which
// is also the benchmark if none is given.
type Convert struct {
	Data   string `json:"data"`   // file or directory
	Labels string `json:"labels"` // where labels lie in a file of their own
	convert.Options
}

// UnmarshalJSON reads settings over the defaults.
func (c *Convert) UnmarshalJSON(data []byte) error {
	type plain Convert
	p := plain{Options: convert.Defaults()}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*c = Convert(p)
	return nil
}

// Eval says what to evaluate.
type Eval struct {
	Tasks      string `json:"tasks"`
	Data       string `json:"data"`
	MaxSamples int    `json:"max_samples"`
	Base       bool   `json:"base"` // evaluate the base model too
}

// Load reads and checks a recipe file.
func Load(path string) (*Recipe, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	r.dir = filepath.Dir(path)
	return r, nil
}

// Parse reads a recipe's text. Settings that are not given have their stage's
// defaults.
func Parse(data []byte) (*Recipe, error) {
	text, blocks, err := toJSON(data)
	if err != nil {
		return nil, err
	}
	r := &Recipe{Seed: 42, Language: "arb_Arab", Merge: true, Models: Models{Generator: Generator{Concurrency: 8}}}
	r.defaults(blocks)
	// A block without settings is there with its defaults, not null.
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, badinput.Errorf("%w", err)
	}
	for key, value := range given {
		if string(value) == "null" {
			delete(given, key)
		}
	}
	if text, err = json.Marshal(given); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, badinput.Errorf("%w", err)
	}
	return r, r.check()
}

// defaults fills the blocks that the file has, before its settings.
func (r *Recipe) defaults(blocks map[string]bool) {
	if blocks["wiki"] {
		o := wiki.Defaults()
		r.Wiki = &o
	}
	if blocks["synth"] {
		o := synth.Defaults()
		r.Synth = &o
	}
	if blocks["translate"] {
		o := translate.Defaults()
		r.Translate = &o
	}
	if blocks["filter"] {
		o := filter.Defaults()
		r.Filter = &o
	}
	if blocks["mix"] {
		o := mix.Defaults()
		r.Mix = &o
	}
	if blocks["train"] {
		o := train.Defaults()
		r.Train = &o
	}
	if blocks["eval"] {
		r.Eval = &Eval{Tasks: "oall", Base: true}
	}
}

// check verifies what no single stage can.
func (r *Recipe) check() error {
	if r.Translate != nil {
		r.Translate.To = r.Language
	}
	if err := r.checkSets(); err != nil {
		return err
	}
	for _, v := range []struct {
		is bool
		f  func() error
	}{
		{r.Wiki != nil, func() error { return r.Wiki.Validate() }}, {r.Synth != nil, func() error { return r.Synth.Validate() }},
		{r.Translate != nil, func() error { return r.Translate.Validate() }}, {r.Filter != nil, func() error { return r.Filter.Validate() }},
		{r.Mix != nil, func() error { return r.Mix.Validate() }}, {r.Train != nil, func() error { return r.Train.Validate() }},
	} {
		if v.is {
			if err := v.f(); err != nil {
				return err
			}
		}
	}
	switch {
	case r.Name == "":
		return badinput.Errorf("name is missing")
	case r.Synth != nil && r.Wiki == nil && r.Inputs.Passages == "":
		return badinput.Errorf("synth has no passages: add a wiki block, or inputs: passages")
	case r.Synth != nil && r.Models.Generator.Model == "":
		return badinput.Errorf("synth has no model: models: generator: model is missing")
	case r.Translate != nil && r.Models.Translator == "":
		return badinput.Errorf("translate has no model: models: translator is missing")
	case (r.Train != nil || r.Eval != nil) && r.Models.Base == "":
		return badinput.Errorf("train and eval have no model: models: base is missing")
	case r.Wiki == nil && r.Synth == nil && len(r.Convert)+len(r.Inputs.Instructions) == 0 && (r.Translate != nil || r.Filter != nil):
		return badinput.Errorf("translate and filter have no instructions: add synth, convert or inputs: instructions")
	case r.Train != nil && r.Mix == nil:
		return badinput.Errorf("train has no data: add a mix block")
	case r.Eval != nil && r.Eval.Data == "":
		return badinput.Errorf("eval: data is missing: the directory of the benchmark files")
	case r.Eval != nil && r.Eval.MaxSamples < 0:
		return badinput.Errorf("eval: max_samples is %d, expected 0 (all) or more", r.Eval.MaxSamples)
	}
	return nil
}

// setName is what a set of instructions may be called: it names directories.
var setName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,40}$`)

// checkSets verifies the sets of instructions beside the wiki's.
func (r *Recipe) checkSets() error {
	for name, c := range r.Convert {
		if c == nil || c.Data == "" {
			return badinput.Errorf("convert: %s: data is missing: the file or directory of the benchmark", name)
		}
		if c.Benchmark == "" {
			c.Benchmark = name
		}
		if c.Dataset == "" {
			c.Dataset = name
		}
		if err := c.Validate(); err != nil {
			return badinput.Errorf("convert: %s: %w", name, err)
		}
		if _, twice := r.Inputs.Instructions[name]; twice {
			return badinput.Errorf("%s is both under convert and under inputs: instructions", name)
		}
	}
	for name := range r.Inputs.Mix {
		_, converted := r.Convert[name]
		_, given := r.Inputs.Instructions[name]
		if name == mainSet || converted || given {
			return badinput.Errorf("inputs: mix: the name %s is taken", name)
		}
	}
	for _, names := range []iter.Seq[string]{maps.Keys(r.Convert), maps.Keys(r.Inputs.Instructions)} {
		for name := range names {
			if !setName.MatchString(name) || name == mainSet {
				return badinput.Errorf("instructions %q: expected a name of small letters, digits, - and _, but not %s", name, mainSet)
			}
		}
	}
	return nil
}

// path resolves a path of the file.
func (r *Recipe) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

// model resolves a model of the file: a directory beside it if there is one,
// else a hub id.
func (r *Recipe) model(name string) string {
	if p := r.path(name); name != "" {
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			return p
		}
	}
	return name
}

// LocalModels names the models that the recipe's stages open on this machine:
// directories or hub ids.
func (r *Recipe) LocalModels() []string {
	var names []string
	add := func(used bool, name string) {
		if used && name != "" && !slices.Contains(names, r.model(name)) {
			names = append(names, r.model(name))
		}
	}
	add(r.Synth != nil && r.Models.Generator.Endpoint == "", r.Models.Generator.Model)
	add(r.Translate != nil, r.Models.Translator)
	add(r.Mix != nil || r.Train != nil || r.Eval != nil, r.Models.Base)
	return names
}
