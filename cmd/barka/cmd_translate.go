package main

import (
	"barka/internal/atomicfile"
	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
	"barka/internal/sacrebleu"
	"barka/internal/stage/translate"
	"barka/internal/translationmemory"
)

type translateCmd struct {
	Model       string `required:"" help:"NLLB or another M2M-100 model: directory or hub id." placeholder:"MODEL"`
	From        string `help:"Source language, by NLLB's code; M2M-100 takes its own as well, such as en." default:"eng_Latn"`
	To          string `help:"Target language, by NLLB's code; M2M-100 takes its own as well, such as ar." default:"arb_Arab"`
	searchFlags `embed:""`
	chatFlags   `embed:""`
	NumReturn   int      `help:"Outputs per text with --json, or per sentence of --in, best first; at most --beam, unless they are drawn." default:"1"`
	ToColumn    string   `help:"Lines are JSON objects with a text and, in this field, its target language; without the field it is --to. With --columns it is a column." placeholder:"NAME"`
	DType       string   `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	MaxTokens   int      `help:"Longest input sentence in tokens; longer ones are split at clauses." default:"128"`
	Raw         bool     `help:"Translate each line or message in one call, without splitting it into sentences."`
	Punctuation bool     `name:"arabic-punctuation" help:"Write the Arabic comma, semicolon and question mark."`
	Checks      string   `help:"Checks of every sentence, after which it is translated in other ways: off, default or strict." enum:"off,default,strict" default:"default"`
	MinScore    float64  `help:"Lowest mean log-probability of a sentence that passes the checks; 0 is no bound." default:"0"`
	MaxIgnored  float64  `help:"Largest share of a source's tokens that a translation may leave without attention; 1 is off, as with --checks off." default:"0.2"`
	Reference   []string `help:"File with a reference per line; the lines' scores are printed at the end, as barka bleu does." placeholder:"FILE"`
	Back        bool     `help:"Translate the lines back as well, and print the chrF of that against the lines at the end; needs no references."`
	In          string   `help:"Dataset of instructions to translate, instead of standard input." placeholder:"DIR"`
	Columns     []string `help:"Columns of the rows of --in to translate, instead of messages; a.b is a field. --out is then a .jsonl file." placeholder:"NAME"`
	Out         string   `help:"Dataset directory, or .jsonl file, to write, with --in." placeholder:"PATH"`
	Report      string   `help:"Write an HTML page about the translation of --in: scores, checks, the worst segments." placeholder:"FILE"`
	Memory      string   `help:"Translation memory of --in; off is none, default: one in the user's cache directory, for all runs." placeholder:"FILE|off"`
	Restart     bool     `help:"Discard an output made with other options."`
	DryRun      bool     `help:"Count sentences and tokens, and estimate the time; write nothing."`
	Probe       int      `help:"Sentences that --dry-run translates to estimate the time; 0 translates none and loads no weights. Behind addresses none are translated." default:"48"`
}

func (translateCmd) Help() string {
	return `Translates standard input line by line, or the messages of a dataset (--in, --out).

Example:

  echo "Good morning." | barka translate --model facebook/nllb-200-distilled-600M --to arb_Arab

` + searchHelp + `

Every sentence is checked: its numbers, code and links, script, length and repetition. One that fails
is taken from the other hypotheses of its search, searched without repeated sequences, or translated
in pieces. If nothing passes, the row of a dataset is dropped with the reason, and a line gets the
attempt with the fewest faults. --checks strict drops more, --checks off nothing but what
docs/translation.md names.

The sentences of a dataset are translated once for all datasets and runs: --memory names the file
that keeps them, with their model, languages and settings. The output does not depend on it. With
--endpoint there is none unless it is named.

` + chatHelp + `

Text stays text: </s>, <mask> or eng_Latn in it are translated like other words. Only in lines with
--raw are they special tokens, as in transformers.

With --json each line gives {"text", "cut", "segments"}, or {"text", "ids", "score", "cut",
"hit_max"} with --raw. cut is the number of source tokens that did not fit into the model; hit_max
marks an output that --max-length or --max-length-ratio ended. Such lines are also reported on stderr. With --num-return
above 1, each segment has "alternatives", which are all outputs but the best; with --raw the line
has "hypotheses", which are all outputs, best first. Each output has its score. The segments of a
dataset's rows have the same "alternatives".

With --to-column NAME every line is a JSON object, such as {"text": "Hello.", "to": "fra_Latn"} for
--to-column to. A line without the field, or with "", is translated into --to. With --json its
result repeats the object as "input".
` + outHelp
}

// options returns the stage's validated options.
func (c *translateCmd) options(a *app) (translate.Options, error) {
	o := translate.Defaults()
	o.From, o.To, o.MaxTokens, o.ArabicPunctuation = c.From, c.To, c.MaxTokens, c.Punctuation
	o.NumReturn = c.NumReturn
	o.Checks, o.MinScore, o.MaxIgnored, o.SecondFor = c.Checks, c.MinScore, c.MaxIgnored, c.SecondFor
	var err error
	if o.Decoding, err = c.decoding(); err != nil {
		return o, err
	}
	if len(c.Endpoint) > 0 { // a chat model has no beams
		o.Beam = 1
	}
	if err := o.Decoding.Validate(); err != nil {
		return o, err
	}
	if most := o.Most(); c.NumReturn < 1 || c.NumReturn > most {
		return o, usagef("translate: --num-return is %d, expected 1 to the number of hypotheses of the search, %d", c.NumReturn, most)
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	switch {
	case c.Out != "" && c.In == "":
		return o, usagef("translate: --out needs --in, the dataset to translate")
	case c.In != "" && c.Out == "" && !c.DryRun:
		return o, usagef("translate: --in needs --out, the directory to write")
	case len(c.Reference) > 0 && c.In != "":
		return o, usagef("translate: --reference is only for lines; compare the rows of a dataset with barka bleu")
	case c.Back && c.In != "":
		return o, usagef("translate: --back is only for lines")
	case c.Report != "" && (c.In == "" || c.DryRun):
		return o, usagef("translate: --report is only for datasets, which --in names")
	case len(c.Columns) > 0 && (c.In == "" || !jsonl.Has(c.Out) && !c.DryRun):
		return o, usagef("translate: --columns is only for datasets and needs --in and an --out that ends in .jsonl")
	case c.DryRun && c.In == "":
		return o, usagef("translate: --dry-run is only for datasets, which --in names")
	case c.Probe < 0:
		return o, usagef("translate: --probe is %d, expected 0 or more", c.Probe)
	case c.Memory != "" && c.In == "":
		return o, usagef("translate: --memory is only for datasets, which --in names")
	case len(c.SecondEndpoint) > 0 && c.Second == "":
		return o, usagef("translate: --second-endpoint without --second, the model's name there")
	case len(c.SecondFor) > 0 && (c.Second == "" || c.Raw):
		return o, usagef("translate: --second-for needs --second, the model that gets these kinds of segments, and has no effect with --raw")
	case c.Second != "" && (c.Raw && c.In == "" || len(c.Endpoint) > 0 || c.Checks == "off"):
		return o, usagef("translate: --second is for sentences that fail the checks of an encoder-decoder model; " +
			"it has no effect with --endpoint, --checks off or lines with --raw")
	case c.ToColumn != "" && c.In != "" && len(c.Columns) == 0:
		return o, usagef("translate: --to-column is only for lines, and for the rows of --columns")
	case c.ToColumn == "text" && c.In == "":
		return o, usagef("translate: --to-column is text, the field of the text itself")
	case c.NumReturn > 1 && c.In == "" && !a.JSON:
		return o, usagef("translate: --num-return is only for datasets, and for lines with --json")
	}
	return o, nil
}

// hypotheses returns how many outputs of a text are needed: all, for the checks, or those
// that are printed.
func (c *translateCmd) hypotheses(o translate.Options) int {
	if c.Raw && c.In == "" {
		return c.NumReturn
	}
	return o.Hypotheses()
}

func (c *translateCmd) Run(a *app) error {
	o, err := c.options(a)
	if err != nil {
		return err
	}
	a.notResumable = a.notResumable || c.In == ""
	chats, err := c.chats(a)
	if err != nil {
		return err
	}
	if chats {
		return c.byChat(a, o)
	}
	to := backend.TranslatorOptions{From: c.From, To: c.To, Decoding: o.Decoding, NumReturn: c.hypotheses(o), Seed: a.Seed,
		Attention: o.Attends(), ParseSpecial: c.Raw && c.In == ""}
	if c.DryRun {
		t, err := a.engine(c.DType).LazyTranslator(c.Model, c.Model, to)
		if err != nil {
			return err
		}
		defer t.Close()
		return c.estimate(a, o, t, func() (string, error) { return a.engine(c.DType).Digest(c.Model) })
	}
	t, err := a.engine(c.DType).OpenTranslator(c.Model, to)
	if err != nil {
		return err
	}
	defer t.Close()
	second, err := c.openSecond(a, o)
	if err != nil {
		return err
	}
	if second != nil {
		defer second.Close()
		defer c.spent(a, second)
	}
	if c.In != "" {
		return c.dataset(a, o, t, second, func() (string, error) { return a.engine(c.DType).Digest(c.Model) })
	}
	return c.checked(a, func(check *referenceCheck) error {
		if c.Back {
			if check.back, err = c.backward(o, t); err != nil {
				return err
			}
		}
		if c.Raw {
			return c.rawLines(a, t, check)
		}
		return c.lines(a, o, into(t.Into), second, check)
	})
}

// byChat translates with a chat model.
func (c *translateCmd) byChat(a *app, o translate.Options) error {
	if c.Back {
		return usagef("translate: --back is only for encoder-decoder models; %s is a chat model", c.Model)
	}
	if searchSettings(o.Decoding) || c.NumReturn > 1 {
		return usagef("translate: %s is a chat model; of the settings of the search it has only --temperature and --top-p", c.Model)
	}
	t, err := c.openChat(a, o, c.Model, c.Endpoint)
	if err != nil {
		return err
	}
	defer t.Close()
	defer c.spent(a, t)
	if c.In != "" {
		if len(c.Endpoint) > 0 && c.Memory == "" {
			c.Memory = "off" // the model behind an address may be replaced by another one
		}
		if c.DryRun {
			return c.estimate(a, o, t, t.Digest)
		}
		return c.dataset(a, o, t, nil, t.Digest)
	}
	o.Whole = c.Raw
	return c.checked(a, func(check *referenceCheck) error { return c.lines(a, o, into(t.Into), nil, check) })
}

// spent tells what the requests of this command cost, if the endpoints have prices.
func (c *translateCmd) spent(a *app, t *backend.ChatTranslator) {
	if s := t.Spent(); s.Cost > 0 {
		a.ui.Infof("translate: %d requests of %s, paid %.4f", s.Calls, t.Name(), s.Cost)
	}
}

// checked runs lines with the references, if there are any, and reports the scores.
func (c *translateCmd) checked(a *app, run func(check *referenceCheck) error) error {
	check, err := c.openCheck()
	if err != nil {
		return err
	}
	defer check.references.close()
	if err := run(check); err != nil {
		return err
	}
	return check.end(a)
}

// referenceCheck scores translated lines against references, if there are any.
type referenceCheck struct {
	*scores
	references
	back *backward // nil without --back
}

func (c *translateCmd) openCheck() (*referenceCheck, error) {
	s, err := metricFlags{Metrics: []string{"bleu", "chrf", "chrf++"}, Tokenize: string(sacrebleu.MT13a)}.scores()
	if err != nil {
		return nil, err
	}
	refs, err := openReferences(c.Reference)
	return &referenceCheck{scores: s, references: refs}, err
}

// line adds the translation of a line.
func (r *referenceCheck) line(number int, text string) error {
	refs, err := r.next(number)
	if err == nil && len(refs) > 0 {
		r.add(text, refs)
	}
	return err
}

// end reports the scores.
func (r *referenceCheck) end(a *app) error {
	r.back.end(a)
	if len(r.references) == 0 {
		return nil
	}
	if err := r.references.end(r.scores.lines); err != nil {
		return err
	}
	a.ui.Event("scores", r.text(1), r.scores)
	return nil
}

// estimate prints what the translation of a dataset takes. An existing memory is read, and
// none is made.
func (c *translateCmd) estimate(a *app, o translate.Options, t translate.Translator, digest func() (string, error)) error {
	o.Whole, o.Columns, o.ToColumn = c.Raw, c.Columns, c.ToColumn
	tools := translate.Tools{Translator: t}
	memory, err := translationmemory.Existing(c.Memory)
	if err != nil {
		return err
	}
	if memory != nil {
		defer memory.Close()
		tools.Memory = memory
		if o.ModelDigest, err = digest(); err != nil {
			return err
		}
	}
	if len(c.Endpoint) > 0 {
		c.Probe = 0
	}
	e, err := translate.Plan(a.ctx, o, tools, c.In, c.Probe)
	if err != nil {
		return err
	}
	if err := e.Time(a.ctx, t); err != nil {
		return err
	}
	return a.ui.Print(e.Text(), e)
}

// dataset translates the messages of a dataset. second may be nil; digest returns what
// identifies the translator.
func (c *translateCmd) dataset(a *app, o translate.Options, t translate.Translator, second *backend.ChatTranslator,
	digest func() (string, error)) error {
	o.Whole = c.Raw
	var err error
	if o.ModelDigest, err = digest(); err != nil {
		return err
	}
	tools := translate.Tools{Translator: t}
	if second != nil {
		tools.Second, tools.ForgetSecond = second, len(c.SecondEndpoint) > 0 && c.Memory == ""
		if o.SecondDigest, err = second.Digest(); err != nil {
			return err
		}
	}
	memory, err := translationmemory.Choose(c.Memory, func(err error) { a.ui.Warnf("%v", err) })
	if err != nil {
		return err
	}
	if memory != nil {
		defer memory.Close()
		tools.Memory = memory
	}
	if len(c.Columns) > 0 {
		o.Columns, o.ToColumn = c.Columns, c.ToColumn
		err = records[translate.ColumnLine](a, "translate", c.Out, map[string]string{"rows": c.In}, c.Restart,
			func(env durable.Env) (*dataset.Manifest, error) { return translate.RunColumns(a.ctx, o, tools, env) })
	} else {
		err = c.messages(a, o, tools)
	}
	if err == nil && c.Report != "" {
		err = c.report(a)
	}
	return err
}

// messages translates a dataset of instructions.
func (c *translateCmd) messages(a *app, o translate.Options, tools translate.Tools) error {
	in := map[string]string{"instructions": c.In}
	return records[dataset.Instruction](a, "translate", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return translate.Run(a.ctx, o, tools, env)
	})
}

// report writes the page about the finished dataset.
func (c *translateCmd) report(a *app) error {
	dir := c.Out
	if jsonl.Has(dir) {
		dir, _ = beside(dir)
	}
	r, err := translate.NewReport(a.ctx, dir)
	if err != nil {
		return err
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(c.Report, []byte(page)); err != nil {
		return err
	}
	a.ui.Infof("translate: report in %s", c.Report)
	return nil
}

var _ translate.Translator = (*backend.Translator)(nil)
