// Package recipe reads recipe files and runs their stages in order, each
// resumed where it stopped: the whole way from pages to an evaluated model.
package recipe

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/lines"
	"barka/internal/stage/convert"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/synth"
	"barka/internal/stage/train"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// Recipe is a recipe file. A stage without a block is left out, and the data
// under inputs takes the place of its output.
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

	file string // "" where it is none
	dir  string // of the file; its paths are relative to it
	doc  *document
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

// Load reads a recipe file. Its error lists all mistakes.
func Load(path string) (*Recipe, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	return r, r.Problems()
}

// Open reads a recipe file that may have mistakes. A setting with a mistake has
// its default, and Problems lists it. Only a file that is not a recipe at all
// is an error.
func Open(path string) (*Recipe, error) {
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	if err := lines.Check(path, data); err != nil {
		return nil, err
	}
	r, err := open(data)
	if err != nil {
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	r.file, r.dir = path, filepath.Dir(path)
	return r, nil
}

// Parse reads a recipe's text. Settings that are not given have their stage's
// defaults.
func Parse(data []byte) (*Recipe, error) {
	r, err := open(data)
	if err != nil {
		return nil, err
	}
	return r, r.Problems()
}

// Problems returns the mistakes of the recipe's text as one error, nil if there
// are none.
func (r *Recipe) Problems() error { return r.problems(nil) }

// problems adds the problems found by a check.
func (r *Recipe) problems(found []Problem) error {
	list := sorted(slices.Concat(r.doc.problems, found))
	if len(list) == 0 {
		return nil
	}
	return badinput.Wrap(&Problems{File: r.file, List: list})
}

func open(data []byte) (*Recipe, error) {
	d, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	d.checkMapping(d.values, reflect.TypeFor[Recipe](), "")
	r, err := d.validated()
	if err != nil {
		return nil, err
	}
	r.check()
	return r, nil
}

// decode reads the document over the defaults of the blocks that it has. A
// setting that a block itself cannot read is noted and taken out.
func (d *document) decode() (*Recipe, error) {
	for {
		r, err := d.read()
		if err == nil || !badinput.Is(err) {
			return r, err
		}
		block, _, _ := strings.Cut(err.Error(), ":")
		name := d.named(block, err.Error())
		if name == "" {
			return nil, err
		}
		d.say(join(block, name), "%v", err)
		delete(d.block(block), name)
	}
}

func (d *document) read() (*Recipe, error) {
	text, err := json.Marshal(d.values)
	if err != nil {
		return nil, err
	}
	r := &Recipe{Seed: 42, Language: "arb_Arab", Merge: true, Models: Models{Generator: Generator{Concurrency: 8}}, doc: d}
	r.defaults(d.values)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	if r.Translate != nil {
		r.Translate.To = r.Language
	}
	for name, c := range r.Convert {
		c.Benchmark, c.Dataset = cmp.Or(c.Benchmark, name), cmp.Or(c.Dataset, name)
	}
	return r, nil
}

// defaults fills the blocks that the file has, before its settings.
func (r *Recipe) defaults(values map[string]any) {
	blocks := map[string]bool{}
	for name := range values {
		blocks[name] = true
	}
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
		if dir, err := badinput.IsDir(p); dir || err != nil || hub.IsFile(p) { // the error comes back from who opens it
			return p
		}
	}
	return name
}

// Tokenizers names the models of which the recipe's stages use only the
// tokenizer.
func (r *Recipe) Tokenizers() []string {
	var names []string
	if r.Mix != nil {
		for _, name := range r.Mix.Tokenizers {
			names = append(names, r.model(name))
		}
	}
	return names
}

// tokenizers names the models whose tokenizers fill the mix's token table: the
// base model, and those that the block lists.
func (r *Recipe) tokenizers() []string {
	var names []string
	for _, name := range append([]string{r.Models.Base}, r.Mix.Tokenizers...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// trainDType is the type of the weights that train opens; "" is the
// checkpoint's own.
func (r *Recipe) trainDType() string {
	if r.Train == nil {
		return ""
	}
	return cmp.Or(r.Train.DType, r.DType)
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
