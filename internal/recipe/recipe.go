// Package recipe reads recipe files and runs their stages in order, from pages to an
// evaluated model. Each stage is resumed where it stopped.
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
	"barka/internal/llm"
	"barka/internal/stage/convert"
	"barka/internal/stage/decontaminate"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/synth"
	"barka/internal/stage/train"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// Recipe is a recipe file. A stage without a block does not run; the data under
// inputs replaces its output.
type Recipe struct {
	Name     string `json:"name"`     // of the run: `barka run` writes to runs/NAME by default
	Seed     int64  `json:"seed"`     // of all random choices
	Language string `json:"language"` // target language, an NLLB code
	DType    string `json:"dtype"`    // type of the models' weights; "" is each checkpoint's own
	Models   Models `json:"models"`
	Inputs   Inputs `json:"inputs"`

	Wiki  *wiki.Options  `json:"wiki"`
	Synth *synth.Options `json:"synth"`
	// Convert has a block for each benchmark whose rows become instructions.
	Convert       map[string]*Convert `json:"convert"`
	Translate     *translate.Options  `json:"translate"`
	Filter        *filter.Options     `json:"filter"`
	Decontaminate *Decontaminate      `json:"decontaminate"`
	Mix           *mix.Options        `json:"mix"`
	Train         *train.Options      `json:"train"`
	Merge         bool                `json:"merge"` // whether the adapter is merged into the base model
	Eval          *Eval               `json:"eval"`
	Publish       *Publish            `json:"publish"`

	text string
	file string // "" for a recipe that is not in a file
	dir  string // directory of the file, to which its paths are relative
	doc  *document
}

// Models names the models.
type Models struct {
	Generator  Generator `json:"generator"`  // writes questions and answers
	Judge      Generator `json:"judge"`      // of synth's answers; without a model there is none
	Translator string    `json:"translator"` // translates into the language: NLLB, M2M-100 or a chat model
	Second     Second    `json:"second"`     // the second translator; without a model there is none
	Base       string    `json:"base"`       // the model to fine-tune
}

// Generator is a model on this machine, or behind one endpoint or several. The settings of
// an endpoint in the list that are not given are the generator's.
type Generator struct {
	llm.Server
	Endpoints []llm.Server `json:"endpoints"` // several endpoints of the same model, in place of endpoint
}

// servers returns the endpoints with all their settings, or none if the model runs here.
func (g Generator) servers() []llm.Server {
	own := g.Server
	own.Model = "" // it is the name of the whole
	if g.Endpoint != "" {
		return []llm.Server{own}
	}
	var all []llm.Server
	for _, e := range g.Endpoints {
		e.KeyVariable = cmp.Or(e.KeyVariable, own.KeyVariable)
		e.Concurrency = cmp.Or(e.Concurrency, own.Concurrency)
		e.RequestsPerMinute = cmp.Or(e.RequestsPerMinute, own.RequestsPerMinute)
		e.TokensPerMinute = cmp.Or(e.TokensPerMinute, own.TokensPerMinute)
		e.PriceIn, e.PriceOut = cmp.Or(e.PriceIn, own.PriceIn), cmp.Or(e.PriceOut, own.PriceOut)
		all = append(all, e)
	}
	return all
}

// remote reports whether the model runs behind endpoints.
func (g Generator) remote() bool { return g.Endpoint != "" || len(g.Endpoints) > 0 }

// Inputs names datasets that the stages take from outside.
type Inputs struct {
	Passages     string            `json:"passages"`     // instead of wiki
	Instructions map[string]string `json:"instructions"` // more instructions to translate and filter, by name
	Mix          map[string]string `json:"mix"`          // more instructions for the mix, by name
	Review       string            `json:"review"`       // review file that the mix applies
	Train        string            `json:"train"`        // conversations, texts or pairs that are trained on instead of the mix
	Validation   string            `json:"validation"`   // the training's validation set, instead of the mix's
	Replay       string            `json:"replay"`       // conversations of which the training replays its replay_share
}

// Convert is a benchmark's training set. Its key in the recipe is its name, and the
// benchmark's if the block does not name one.
type Convert struct {
	Data   string `json:"data"`   // file, directory, zip archive or hub id; "" is the set's own repository
	Labels string `json:"labels"` // file of the labels, if they have one
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

// Decontaminate looks for the benchmarks' questions in the rows. Without tasks it looks for
// those of eval, or for all.
type Decontaminate struct {
	Data string `json:"data"` // directory of the benchmarks; "" is that of eval, or the hub's cache
	decontaminate.Options
}

// Eval holds the settings of the evaluations.
type Eval struct {
	Tasks string `json:"tasks"` // a list of tasks such as oall, or a file with one per line
	Data  string `json:"data"`  // directory of the benchmarks; "" is the hub's cache, and what it lacks is downloaded
	// Revisions pins datasets of the hub to a branch, a tag or a commit, by repository. Others
	// are those of the branch main when they are downloaded.
	Revisions  map[string]string `json:"revisions"`
	MaxSamples int               `json:"max_samples"` // the most questions of a task; 0 is all
	Base       bool              `json:"base"`        // evaluate the base model too
}

// Load reads a recipe file. Its error lists all mistakes.
func Load(path string) (*Recipe, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	return r, r.Problems()
}

// Open reads a recipe file that may have mistakes. A setting with a mistake keeps its
// default, and Problems lists the mistake. Open returns an error only for a file that
// is not a recipe at all.
func Open(path string) (*Recipe, error) {
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if badinput.IsMissing(err) {
		return nil, badinput.Missing(path, "`barka init "+path+"` writes a recipe, from a few questions")
	}
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

// Parse reads a recipe's text. Settings that are not given have the defaults of their
// stage. Its error lists all mistakes.
func Parse(data []byte) (*Recipe, error) {
	r, err := open(data)
	if err != nil {
		return nil, err
	}
	return r, r.Problems()
}

// Problems returns the mistakes of the recipe's text as one error, or nil if there
// are none.
func (r *Recipe) Problems() error { return r.problems(nil) }

// problems returns the mistakes of the text and the problems of a check as one error.
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
	r.text = string(data)
	return r, nil
}

// decode reads the document over the defaults of the blocks that it has. A setting
// that its block cannot read becomes a problem and is removed.
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
	eight := Generator{Server: llm.Server{Concurrency: 8}}
	r := &Recipe{Seed: 42, Language: "arb_Arab", Merge: true, Models: Models{Generator: eight, Judge: eight, Second: Second{Generator: eight}},
		doc: d}
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

// defaults sets the blocks that the file has to their defaults.
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
	if blocks["decontaminate"] {
		r.Decontaminate = &Decontaminate{Options: decontaminate.Defaults()}
		r.Decontaminate.Tasks = ""
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
	if blocks["publish"] {
		r.Publish = &Publish{Revision: "main"}
	}
}

// convertAsks reports whether a block of convert asks the generator.
func (r *Recipe) convertAsks() bool {
	for _, c := range r.Convert {
		if c.AsksModel() {
			return true
		}
	}
	return false
}

// path resolves a path in the file.
func (r *Recipe) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

// model resolves a model in the file: a directory or GGUF file beside it if there is
// one, else a hub id.
func (r *Recipe) model(name string) string {
	if p := r.path(name); name != "" {
		if dir, err := badinput.IsDir(p); dir || err != nil || hub.IsFile(p) { // opening it reports the error
			return p
		}
	}
	return name
}

// Tokenizers returns the models whose tokenizer the stages use, but not their weights.
func (r *Recipe) Tokenizers() []string {
	var names []string
	if r.Mix != nil {
		for _, name := range r.Mix.Tokenizers {
			names = append(names, r.model(name))
		}
	}
	return names
}

// tokenizers returns the models whose tokenizers count the tokens of the mix: the
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

// trainDType returns the type of the weights that train opens, or "" for the
// checkpoint's own.
func (r *Recipe) trainDType() string {
	if r.Train == nil {
		return ""
	}
	return cmp.Or(r.Train.DType, r.DType)
}

// wikiAsks reports whether the generator judges pages.
func (r *Recipe) wikiAsks() bool { return r.Wiki != nil && r.Wiki.Relevance }

// LocalModels returns the models that the stages open on this machine, as directories
// or hub ids.
func (r *Recipe) LocalModels() []string {
	var names []string
	add := func(used bool, name string) {
		if used && name != "" && !slices.Contains(names, r.model(name)) {
			names = append(names, r.model(name))
		}
	}
	add((r.Synth != nil || r.convertAsks() || r.wikiAsks()) && !r.Models.Generator.remote(), r.Models.Generator.Model)
	add(r.Synth != nil && !r.Models.Judge.remote(), r.Models.Judge.Model)
	add(r.Translate != nil, r.Models.Translator)
	add(r.Translate != nil && !r.Models.Second.remote(), r.Models.Second.Model)
	add(r.Mix != nil || r.Train != nil || r.Eval != nil, r.Models.Base)
	return names
}
