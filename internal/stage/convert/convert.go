// Package convert turns the training sets of public benchmarks, in the layouts
// in which they are published, into instructions. Templates lay out questions and
// options, and the answers are the sets' own, so that options stay whole, in order
// and word for word. On request a language model adds a reason to an answer, or words
// a sentence with a gap as a question.
package convert

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/nearest"
	"barka/internal/progress"
	"barka/internal/prose"
)

// version changes when the same options would give another output.
const (
	version = 4
	changed = "rows have the id of their passage"
)

// Options are everything that changes what convert writes.
type Options struct {
	// Benchmark says which set, and so which layouts, the input has.
	Benchmark string `json:"benchmark"`
	// Dataset names the rows; "" is the benchmark's name.
	Dataset string `json:"dataset,omitempty"`
	// Split is read where the input is a directory of several.
	Split string `json:"split"`
	// Answer is AnswerLabel or AnswerText.
	Answer string `json:"answer"`
	// Licence replaces the benchmark's own, for the rows.
	Licence string `json:"licence,omitempty"`
	// Language is the code of the rows' language, such as arb_Arab. The
	// benchmarks are English, as are the words that convert adds to them;
	// instruction sets may be of any language.
	Language string `json:"language"`
	// Limit, if positive, is the most rows written.
	Limit int `json:"limit,omitempty"`
	// Config is the configuration, a directory of the hub's repository; "" is the set's usual
	// one.
	Config string `json:"config,omitempty"`
	// Source is the repository at a commit, if the data come from the hub.
	Source string `json:"source,omitempty"`
	// Templates is a directory with templates that replace the built-in ones of the same name.
	// The dataset's identity has TemplatesDigest, which identifies their content.
	Templates       string `json:"templates,omitempty"`
	TemplatesDigest string `json:"templates_digest,omitempty"`
	// FirstTemplate lays out every row with the set's first template instead of drawing one.
	FirstTemplate bool `json:"first_template,omitempty"`
	// FewShot is the share of rows before which 1, 3 or 5 other rows of the split stand.
	FewShot float64 `json:"few_shot,omitempty"`
	// Justify adds a sentence to each answer, and Rewrite words sentences that options complete
	// as questions; both ask the model.
	Justify bool `json:"justify,omitempty"`
	Rewrite bool `json:"rewrite,omitempty"`
	// Model is its name and ModelDigest identifies its weights, if they are available.
	Model       string  `json:"model,omitempty"`
	ModelDigest string  `json:"model_digest,omitempty"`
	Temperature float64 `json:"temperature,omitempty"` // of rewriting
	MaxTokens   int     `json:"max_tokens,omitempty"`  // of a rewritten text
	// Attempts is how often a text that fails a check is asked for.
	Attempts int `json:"attempts,omitempty"`

	// Concurrency is the number of requests in flight at once; at least 1 is used. It changes
	// no row.
	Concurrency int `json:"-"`
}

// AsksModel reports whether rows need a language model.
func (o Options) AsksModel() bool { return o.Justify || o.Rewrite }

// Answers to multiple-choice questions.
const (
	AnswerLabel = "label" // names the option, then repeats its text
	AnswerText  = "text"  // the option's text alone
)

// Defaults are the settings of the BARKA models.
func Defaults() Options {
	return Options{Split: "train", Answer: AnswerLabel, Language: english, Temperature: 0.3, MaxTokens: 256, Attempts: 3, Concurrency: 8}
}

const english = "eng_Latn"

// Benchmarks lists the names that Options.Benchmark can have.
func Benchmarks() []string {
	var names []string
	for name := range benchmarks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	b, ok := benchmarks[o.Benchmark]
	if !ok {
		return unknownBenchmark(o.Benchmark)
	}
	switch {
	case splitWords[o.Split] == nil:
		return badinput.Errorf("convert: split is %q, expected train, validation or test", o.Split)
	case o.Answer != AnswerLabel && o.Answer != AnswerText:
		return badinput.Errorf("convert: answer is %q, expected %s or %s", o.Answer, AnswerLabel, AnswerText)
	case !prose.IsLanguage(o.Language):
		return badinput.Errorf("convert: language is %q, expected a code such as eng_Latn or arb_Arab", o.Language)
	case o.Language != english && b.form != dataset.FormInstruction:
		return badinput.Errorf("convert: language is %s, but convert asks the questions of %s in English; only "+
			"instruction sets (alpaca, sharegpt) may be in another language", o.Language, o.Benchmark)
	case o.Limit < 0:
		return badinput.Errorf("convert: limit is %d, expected 0 (all) or more", o.Limit)
	case o.FewShot < 0 || o.FewShot > 1:
		return badinput.Errorf("convert: few_shot is %g, expected a share from 0 to 1", o.FewShot)
	case o.FewShot > 0 && b.files == "":
		return badinput.Errorf("convert: few_shot is for benchmarks; the rows of %s are conversations", o.Benchmark)
	case o.AsksModel() && b.kind() == kindAnswer:
		return badinput.Errorf("convert: justify and rewrite are for questions with options or with yes and no, which %s does not have",
			o.Benchmark)
	case o.Justify && o.Answer == AnswerText:
		return badinput.Errorf("convert: justify needs answers that begin with the label; leave answer: text out")
	case o.AsksModel() && (o.Attempts < 1 || o.MaxTokens < 1 || o.Temperature < 0):
		return badinput.Errorf("convert: attempts %d and max_tokens %d must be positive, and temperature %g not negative",
			o.Attempts, o.MaxTokens, o.Temperature)
	}
	return nil
}

func unknownBenchmark(name string) error {
	hint := ""
	if near := nearest.Name(name, Benchmarks()); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return badinput.Errorf("convert: benchmark %q is not known%s; those known: %s", name, hint, strings.Join(Benchmarks(), ", "))
}

// Run converts env.In["data"]: a file, a directory in the layout of the
// benchmark's own archive or of its repository on the hub, or such an archive (zip). Where labels are in
// a separate file (PIQA), that is env.In["labels"], by default the file of
// that name beside the data. client is asked only with Justify or Rewrite, and may
// otherwise be nil.
func Run(ctx context.Context, o Options, client llm.Client, env durable.Env) (m *dataset.Manifest, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	var a archive
	if env.In, a, err = unpack(env.In, benchmarks[o.Benchmark]); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(a.named(err), a.close()) }()
	c, files, inputs, err := prepare(o, env)
	if err != nil {
		return nil, err
	}
	recorded := c.o
	recorded.Templates, recorded.TemplatesDigest = "", c.templates.digest(c.o)
	if o.AsksModel() {
		recorded.Model = client.Name()
	} else {
		recorded.Model, recorded.ModelDigest, recorded.Temperature, recorded.MaxTokens, recorded.Attempts = "", "", 0, 0, 0
	}
	id := durable.Identity{Stage: "convert", Version: version, Changed: changed, Options: recorded, Inputs: inputs}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (final durable.Final, err error) {
		if c.w, err = durable.NewWriter[dataset.Instruction](run); err != nil {
			return final, err
		}
		c.journal = run.Journal()
		if o.AsksModel() {
			c.asker = newAsker(c.o, client, c.templates, env.Seed, c.journal)
		}
		reporter := progress.OrSilent(env.Progress)
		reporter.Start("convert "+o.Benchmark, -1, "rows")
		defer reporter.Done()
		if err := c.all(ctx, run.Dir(), files, reporter); err != nil {
			return final, err
		}
		if err := c.script.check(o.Language, c.data); err != nil {
			return final, err
		}
		return c.final(), nil
	})
}

// prepare finds the files and the templates of a run.
func prepare(o Options, env durable.Env) (c *converter, files []string, inputs map[string]string, err error) {
	b := benchmarks[o.Benchmark]
	if o.Config != "" {
		b.configs = []string{o.Config}
	}
	if o.Dataset == "" {
		o.Dataset = o.Benchmark
	}
	c = &converter{o: o, b: b, data: env.In["data"], seed: env.Seed, counts: map[string]int64{}}
	if c.templates, err = LoadTemplates(o.Templates, o.Benchmark); err != nil {
		return nil, nil, nil, err
	}
	if files, err = find(c.data, b, o.Split); err != nil {
		return nil, nil, nil, err
	}
	if o.Config != "" && !slices.ContainsFunc(files, func(f string) bool { return inConfig(relative(c.data, f), o.Config) }) {
		return nil, nil, nil, badinput.Errorf("%s: no file of the split %s in the configuration %s; files there: %s",
			c.data, o.Split, o.Config, shorten(files))
	}
	if inputs, err = withLabels(env.In, b, files); err != nil {
		return nil, nil, nil, err
	}
	if c.labels, err = readLabels(inputs["labels"]); err != nil {
		return nil, nil, nil, err
	}
	return c, files, single(inputs, files), nil
}

// maxInputs bounds the files of a directory that are inputs by themselves. Archives with one
// file per article have thousands.
const maxInputs = 64

// single replaces the directory of the data by the files of it that are read. Others may
// come and go, as in the hub's cache.
func single(inputs map[string]string, files []string) map[string]string {
	dir := inputs["data"]
	if len(files) > maxInputs || len(files) == 1 && files[0] == dir {
		return inputs
	}
	delete(inputs, "data")
	for _, f := range files {
		inputs["data/"+relative(dir, f)] = f
	}
	return inputs
}

// relative is a file's name below the data: what the output holds must not
// depend on where the data lie.
func relative(data, file string) string {
	rel, err := filepath.Rel(data, file)
	if err != nil || rel == "." {
		rel = filepath.Base(file)
	}
	return filepath.ToSlash(rel)
}
