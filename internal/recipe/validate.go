package recipe

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"barka/internal/benchdata"
	"barka/internal/llm"
	"barka/internal/model"
	"barka/internal/nearest"
	"barka/internal/stage/convert"
	"barka/internal/stage/decontaminate"
)

// blockCheck validates the settings of a block with its stage.
type blockCheck struct {
	key      string
	validate func(*Recipe) error
}

// blockChecks returns the checks of the blocks that the recipe has.
func (r *Recipe) blockChecks() []blockCheck {
	var all []blockCheck
	add := func(given bool, key string, validate func(*Recipe) error) {
		if given {
			all = append(all, blockCheck{key, validate})
		}
	}
	add(r.Wiki != nil, "wiki", func(r *Recipe) error { return r.Wiki.Validate() })
	add(r.Synth != nil, "synth", func(r *Recipe) error { return r.Synth.Validate() })
	for _, name := range slices.Sorted(maps.Keys(r.Convert)) {
		add(true, "convert."+name, func(r *Recipe) error { return r.Convert[name].Validate() })
	}
	add(r.Translate != nil, "translate", func(r *Recipe) error { return r.Translate.Validate() })
	add(r.Filter != nil, "filter", func(r *Recipe) error { return r.Filter.Validate() })
	add(r.Decontaminate != nil, "decontaminate", (*Recipe).validateDecontaminate)
	add(r.Mix != nil, "mix", func(r *Recipe) error { return r.Mix.Validate() })
	add(r.Train != nil, "train", func(r *Recipe) error { return r.Train.Validate() })
	add(r.Publish != nil, "publish", func(r *Recipe) error { return r.Publish.validate() })
	return all
}

// validateDecontaminate validates the block. A file of tasks is found when the recipe's
// directory is known; Check reads it.
func (r *Recipe) validateDecontaminate() error {
	o := r.Decontaminate.Options
	if o.Tasks == "" || strings.ContainsAny(o.Tasks, `./\`) {
		o.Tasks = decontaminate.Defaults().Tasks
	}
	return o.Validate()
}

// validated decodes the document and adds the problems that the stages find. A stage
// reports one setting at a time, which is then reset to its default so that the next
// one is found too.
func (d *document) validated() (*Recipe, error) {
	r, err := d.decode()
	if err != nil {
		return nil, err
	}
	for _, c := range r.blockChecks() {
		for refusal := c.validate(r); refusal != nil; refusal = c.validate(r) {
			name := d.named(c.key, refusal.Error())
			d.say(join(c.key, name), "%v", refusal)
			if name == "" {
				break
			}
			delete(d.block(c.key), name)
			if r, err = d.decode(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// block returns the settings under a dotted key.
func (d *document) block(key string) map[string]any {
	at := d.values
	for _, name := range strings.Split(key, ".") {
		at, _ = at[name].(map[string]any)
	}
	return at
}

// named returns the first setting of a block that an error names, or "".
func (d *document) named(block, text string) string {
	first, name := len(text), ""
	for key := range d.block(block) {
		if at := regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `\b`).FindStringIndex(text); at != nil && at[0] < first {
			first, name = at[0], key
		}
	}
	return name
}

// check adds problems that no single stage can find.
func (r *Recipe) check() {
	r.checkSets()
	d := r.doc
	types := map[string]*string{"dtype": &r.DType}
	if r.Train != nil {
		types["train.dtype"] = &r.Train.DType
	}
	for key, value := range types {
		if *value == "" {
			continue
		}
		if _, err := model.ParseDType(*value); err != nil {
			d.say(key, "%s: %v", key, err)
			*value = "" // so that the models can be checked
		}
	}
	if !languageCode.MatchString(r.Language) {
		d.add("language", "is %q, expected an NLLB code such as arb_Arab (language and script)", r.Language)
	} else if language, script, _ := strings.Cut(r.Language, "_"); !slices.Contains(scripts, script) {
		hint := ""
		if near := nearest.Name(script, scripts); near != "" {
			hint = "; did you mean " + language + "_" + near + "?"
		}
		d.add("language", "is %q, but NLLB has no script %s%s", r.Language, script, hint)
	}
	r.Models.Generator.check(d, "models.generator")
	r.Models.Judge.check(d, "models.judge")
	r.Models.Second.check(d, "models.second")
	r.checkSecondSets()
	if r.Eval != nil && r.Eval.MaxSamples < 0 {
		d.add("eval.max_samples", "is %d, expected 0 (all) or more", r.Eval.MaxSamples)
	}
	if r.Eval != nil {
		if _, err := benchdata.Pins(r.Eval.Revisions); err != nil {
			d.say("eval.revisions", "eval.revisions: %v", err)
		}
	}
	if !r.misspelt() {
		r.checkMissing()
	}
}

// check adds the problems of a model that may run behind endpoints.
func (g Generator) check(d *document, key string) {
	if g.Concurrency < 1 {
		d.say(key, "%s: concurrency is %d, expected at least 1", key, g.Concurrency)
	}
	if g.Endpoint != "" && len(g.Endpoints) > 0 {
		d.say(key, "%s: has both endpoint and endpoints; give one of them", key)
		return
	}
	servers := g.servers()
	if len(servers) == 0 {
		servers = []llm.Server{g.Server}
	}
	for _, s := range servers {
		if s.RequestsPerMinute < 0 || s.TokensPerMinute < 0 || s.Concurrency < 1 || !(s.PriceIn >= 0 && s.PriceOut >= 0) {
			d.say(key, "%s: requests_per_minute is %d, tokens_per_minute %d, concurrency %d, price_in %g and price_out %g, expected at "+
				"least 0 (no limit, no price), and 1 for concurrency", key, s.RequestsPerMinute, s.TokensPerMinute, s.Concurrency,
				s.PriceIn, s.PriceOut)
			return
		}
		if len(g.Endpoints) > 0 && s.Endpoint == "" {
			d.say(key, "%s.endpoints: one of them has no endpoint, expected an address such as http://localhost:8000/v1", key)
			return
		}
	}
}

// needless reports whether there are settings of an endpoint, but no endpoint.
func (g Generator) needless() bool {
	return !g.remote() && (g.KeyVariable != "" || g.RequestsPerMinute != 0 || g.TokensPerMinute != 0)
}

// scripts are the scripts of NLLB-200's languages.
var scripts = []string{"Arab", "Armn", "Beng", "Cyrl", "Deva", "Ethi", "Geor", "Grek", "Gujr", "Guru", "Hang", "Hans",
	"Hant", "Hebr", "Jpan", "Khmr", "Knda", "Laoo", "Latn", "Mlym", "Mymr", "Olck", "Orya", "Sinh", "Taml", "Telu", "Tfng", "Thai", "Tibt"}

var languageCode = regexp.MustCompile(`^[a-z]{3}_[A-Z][a-z]{3}$`)

// misspelt reports whether a block, a model or an input could not be read. A setting
// that seems to be missing may then be there under another name.
func (r *Recipe) misspelt() bool {
	return slices.ContainsFunc(r.doc.problems, func(p Problem) bool {
		top, rest, inner := strings.Cut(p.Key, ".")
		return !inner || (top == "models" || top == "inputs") && rest != ""
	})
}

// missing is a problem of the recipe as a whole, if it is one.
type missing struct {
	is   bool
	key  string // the problem's line is that of this key
	text string
}

// checkMissing adds problems for settings that the stages need and the recipe lacks,
// and for settings without effect.
func (r *Recipe) checkMissing() {
	for _, m := range append([]missing{
		{r.Name == "", "", "name is missing"},
		{r.Synth != nil && r.Wiki == nil && r.Inputs.Passages == "", "synth", "synth has no passages; add a wiki block, or inputs: passages"},
		{r.Wiki != nil && r.Inputs.Passages != "", "inputs.passages", "inputs.passages has no effect beside a wiki block; leave one of them out"},
		{r.Models.Generator.needless(), "models.generator", "models.generator: key_variable, requests_per_minute and tokens_per_minute " +
			"are only for an endpoint; leave them out, or add endpoint"},
		{r.Models.Judge.needless(), "models.judge", "models.judge: key_variable, requests_per_minute and tokens_per_minute " +
			"are only for an endpoint; leave them out, or add endpoint"},
		{r.Models.Second.needless(), "models.second", "models.second: key_variable, requests_per_minute and tokens_per_minute " +
			"are only for an endpoint; leave them out, or add endpoint"},
		{r.Models.Second.Model == "" && len(r.doc.block("models.second")) > 0, "models.second", "models.second: has no model; add model"},
		{r.Models.Second.Model != "" && r.Translate == nil, "models.second", "models.second has no effect without a translate block"},
		{r.Translate != nil && len(r.Translate.SecondFor) > 0 && r.Models.Second.Model == "", "translate.second_for",
			"translate: second_for has no second translator; add models: second: model"},
		{r.Models.Judge.Model == "" && r.Models.Judge.remote(), "models.judge", "models.judge: has an endpoint but no model; add model"},
		{r.Synth != nil && r.Models.Generator.Model == "", "synth", "synth has no model; add models: generator: model"},
		{r.convertAsks() && r.Models.Generator.Model == "", "convert",
			"convert has no model for justify and rewrite; add models: generator: model"},
		{r.Publish != nil && len(r.Publish.publications()) == 0, "publish", "publish names nothing; add dataset, adapter or model: ORG/NAME"},
		{r.Publish != nil && r.Publish.Dataset != "" && r.Mix == nil, "publish", "publish.dataset has nothing to publish; add a mix block"},
		{r.Publish != nil && r.Publish.Adapter != "" && !r.trains(), "publish", "publish.adapter has nothing to publish; add a train block"},
		{r.Publish != nil && r.Publish.Model != "" && !r.merges(), "publish", "publish.model has nothing to publish; add a train block, and " +
			"leave out merge: false"},
		{r.Translate != nil && r.Models.Translator == "", "translate", "translate has no model; add models: translator"},
		{(r.Train != nil || r.Eval != nil) && r.Models.Base == "", cmp.Or(r.given("train"), "eval"), "train and " +
			"eval have no model; add models: base"},
		{r.Wiki == nil && r.Synth == nil && len(r.Convert)+len(r.Inputs.Instructions) == 0 && (r.Translate != nil || r.Filter != nil),
			cmp.Or(r.given("translate"), "filter"), "translate and filter have no instructions; add synth, convert or inputs: instructions"},
		{r.Mix != nil && r.Synth == nil && len(r.Convert)+len(r.Inputs.Instructions)+len(r.Inputs.Mix) == 0, "mix",
			"mix has no instructions; add synth, convert or inputs"},
		{r.Eval != nil && r.Eval.Data != "" && len(r.Eval.Revisions) > 0, "eval.revisions",
			"eval.revisions has no effect beside data; leave one of them out"},
	}, r.trainingMissing()...) {
		if m.is {
			r.doc.say(m.key, "%s", m.text)
		}
	}
}

// given returns a block's key if the recipe has it.
func (r *Recipe) given(key string) string {
	if _, ok := r.doc.values[key]; ok {
		return key
	}
	return ""
}

// setName matches the names of sets of instructions, which become names of
// directories.
var setName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,40}$`)

// checkSets adds the problems of the sets of instructions besides that of synth.
func (r *Recipe) checkSets() {
	d := r.doc
	for _, name := range slices.Sorted(maps.Keys(r.Convert)) {
		key := "convert." + name
		if c := r.Convert[name]; c.Data == "" && convert.HubID(c.Benchmark) == "" {
			d.say(key, "%s: data is missing; set it to the file, the directory or the hub id of the set", key)
		}
		if _, twice := r.Inputs.Instructions[name]; twice {
			d.say(key, "%s is under convert and under inputs: instructions; rename one of them", name)
		}
		r.checkSetName(key, name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs.Instructions)) {
		r.checkSetName("inputs.instructions."+name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inputs.Mix)) {
		_, converted := r.Convert[name]
		_, given := r.Inputs.Instructions[name]
		if name == mainSet || converted || given {
			d.say("inputs.mix."+name, "inputs.mix: the name %s is taken; choose another", name)
		}
	}
}

func (r *Recipe) checkSetName(key, name string) {
	if !setName.MatchString(name) || name == mainSet {
		r.doc.say(key, "the name %q is not allowed; expected small letters, digits, - and _, and not %s", name, mainSet)
	}
}
