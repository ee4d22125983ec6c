package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"barka/internal/atomicfile"
	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/jsonl"
	"barka/internal/lines"
	"barka/internal/sacrebleu"
	"barka/internal/stage/translate"
	"barka/internal/translationmemory"
)

type translateCmd struct {
	Model         string   `required:"" help:"NLLB or another M2M-100 model: directory or hub id." placeholder:"MODEL"`
	From          string   `help:"Source language, by NLLB's code; M2M-100 takes its own as well, such as en." default:"eng_Latn"`
	To            string   `help:"Target language, by NLLB's code; M2M-100 takes its own as well, such as ar." default:"arb_Arab"`
	Beam          int      `help:"Number of beams; 1 is greedy search." default:"5"`
	LengthPenalty float64  `help:"Exponent of the length penalty: above 0 favours long outputs, below 0 short ones." default:"1"`
	MaxLength     int      `help:"Largest number of output tokens of a sentence; at least 3." default:"512"`
	NoRepeatNGram int      `name:"no-repeat-ngram" help:"Forbid repeated sequences of this many tokens; 0 is off." default:"0"`
	EarlyStopping string   `help:"When the search of a sentence ends: false, true or never." enum:"false,true,never" default:"false"`
	NumReturn     int      `help:"Outputs per text with --json, best first; at most --beam." default:"1"`
	DType         string   `name:"dtype" help:"Type of the weights: f32, bf16 or int8; default: the checkpoint's." placeholder:"TYPE"`
	MaxTokens     int      `help:"Longest input sentence in tokens; longer ones are split at clauses." default:"128"`
	Raw           bool     `help:"Translate each line or message in one call, without splitting it into sentences."`
	Punctuation   bool     `name:"arabic-punctuation" help:"Write the Arabic comma, semicolon and question mark."`
	Checks        string   `help:"Checks of every sentence, after which it is translated in other ways: off, default or strict." enum:"off,default,strict" default:"default"`
	MinScore      float64  `help:"Lowest mean log-probability of a sentence that passes the checks; 0 is no bound." default:"0"`
	Reference     []string `help:"File with a reference per line; the lines' scores are printed at the end, as barka bleu does." placeholder:"FILE"`
	In            string   `help:"Dataset of instructions to translate, instead of standard input." placeholder:"DIR"`
	Out           string   `help:"Dataset directory, or .jsonl file, to write, with --in." placeholder:"PATH"`
	Report        string   `help:"Write an HTML page about the translation of --in: scores, checks, the worst segments." placeholder:"FILE"`
	Memory        string   `help:"Translation memory of --in; off is none, default: one in the user's cache directory, for all runs." placeholder:"FILE|off"`
	Restart       bool     `help:"Discard an output made with other options."`
	DryRun        bool     `help:"Count sentences and tokens; translate nothing."`
}

func (translateCmd) Help() string {
	return `Translates standard input line by line, or the messages of a dataset (--in, --out).

Example:

  echo "Good morning." | barka translate --model facebook/nllb-200-distilled-600M --to arb_Arab

The settings of beam search mean the same as in transformers, where they are called num_beams,
length_penalty, max_length, no_repeat_ngram_size, early_stopping and num_return_sequences. A
recipe's translate block calls them beam, length_penalty, max_length, no_repeat_ngram and
early_stopping. The defaults are those below, whatever generation_config.json says; only the end
tokens are read from it.

The score of a hypothesis is its log-probability divided by its length to the power of
--length-penalty. --max-length counts start, language and end token too. --early-stopping decides
when the search of a sentence ends, once as many hypotheses as beams are complete:

  - true: at once.
  - false: when no incomplete hypothesis scores better at its present length.
  - never: when no incomplete hypothesis could score better at any length.

Every sentence is checked: its numbers, code and links, script, length and repetition. One that fails
is taken from the other hypotheses of its search, searched without repeated sequences, or translated
in pieces. If nothing passes, the row of a dataset is dropped with the reason, and a line gets the
attempt with the fewest faults. --checks strict drops more, --checks off nothing but what
docs/translation.md names.

The sentences of a dataset are translated once for all datasets and runs: --memory names the file
that keeps them, with their model, languages and settings. The output does not depend on it.

Text stays text: </s>, <mask> or eng_Latn in it are translated like other words. Only in lines with
--raw are they special tokens, as in transformers.

With --json each line gives {"text", "cut", "segments"}, or {"text", "ids", "score", "cut",
"hit_max"} with --raw. cut is the number of source tokens that did not fit into the model; hit_max
marks an output that --max-length ended. Such lines are also reported on stderr. With --num-return
above 1, each segment has "alternatives", which are all outputs but the best; with --raw the line
has "hypotheses", which are all outputs, best first.
` + outHelp
}

// options returns the stage's validated options.
func (c *translateCmd) options(a *app) (translate.Options, error) {
	o := translate.Defaults()
	o.From, o.To, o.MaxTokens, o.ArabicPunctuation = c.From, c.To, c.MaxTokens, c.Punctuation
	o.Checks, o.MinScore = c.Checks, c.MinScore
	o.Decoding = translate.Decoding{Beam: c.Beam, LengthPenalty: c.LengthPenalty, MaxLength: c.MaxLength, NoRepeatNGram: c.NoRepeatNGram}
	if err := o.EarlyStopping.UnmarshalText([]byte(c.EarlyStopping)); err != nil {
		return o, err
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
	case c.Report != "" && (c.In == "" || c.DryRun):
		return o, usagef("translate: --report is only for datasets, which --in names")
	case c.Memory != "" && c.In == "":
		return o, usagef("translate: --memory is only for datasets, which --in names")
	case c.NumReturn < 1 || c.NumReturn > c.Beam:
		return o, usagef("translate: --num-return is %d, expected 1 to the number of beams, %d", c.NumReturn, c.Beam)
	case c.NumReturn > 1 && (c.In != "" || !a.JSON):
		return o, usagef("translate: --num-return is only for lines with --json; a dataset holds the best output alone")
	}
	return o, nil
}

// hypotheses returns how many outputs of a text are needed: all, for the checks, or those
// that are printed.
func (c *translateCmd) hypotheses() int {
	if c.Raw && c.In == "" {
		return c.NumReturn
	}
	return c.Beam
}

func (c *translateCmd) Run(a *app) error {
	o, err := c.options(a)
	if err != nil {
		return err
	}
	a.notResumable = a.notResumable || c.In == ""
	if err := a.ensure(weights(c.Model)); err != nil {
		return err
	}
	t, err := a.engine(c.DType).OpenTranslator(c.Model, backend.TranslatorOptions{
		From: c.From, To: c.To, Decoding: o.Decoding, NumReturn: c.hypotheses(), ParseSpecial: c.Raw && c.In == ""})
	if err != nil {
		return err
	}
	defer t.Close()
	if c.In != "" {
		return c.dataset(a, o, t)
	}
	check, err := c.openCheck()
	if err != nil {
		return err
	}
	defer check.references.close()
	if c.Raw {
		err = c.rawLines(a, t, check)
	} else {
		err = c.lines(a, o, t, check)
	}
	if err == nil {
		err = check.end(a)
	}
	return err
}

// referenceCheck scores translated lines against references, if there are any.
type referenceCheck struct {
	*scores
	references
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
	if len(r.references) == 0 {
		return nil
	}
	if err := r.references.end(r.scores.lines); err != nil {
		return err
	}
	a.ui.Event("scores", r.text(1), r.scores)
	return nil
}

func (c *translateCmd) dataset(a *app, o translate.Options, t *backend.Translator) error {
	o.Whole = c.Raw
	if c.DryRun {
		e, err := translate.Plan(a.ctx, o, t, c.In)
		if err != nil {
			return err
		}
		return a.ui.Print(fmt.Sprintf("%d rows, %d sentences, %d of them distinct, %d source tokens",
			e.Rows, e.Segments, e.Distinct, e.Tokens), e)
	}
	digest, err := a.engine(c.DType).Digest(c.Model)
	if err != nil {
		return err
	}
	o.ModelDigest = digest
	memory, err := translationmemory.Choose(c.Memory, func(err error) { a.ui.Warnf("%v", err) })
	if err != nil {
		return err
	}
	if memory != nil {
		defer memory.Close()
	}
	in := map[string]string{"instructions": c.In}
	err = records[dataset.Instruction](a, "translate", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return translate.Run(a.ctx, o, translate.Tools{Translator: t, Memory: memory}, env)
	})
	if err == nil && c.Report != "" {
		err = c.report(a)
	}
	return err
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

// batchLines is the number of lines that are translated in one batch. The output
// keeps the order of the input.
const batchLines = 32

// batches calls f with batches of lines and the number of the first of each.
func (a *app) batches(f func(first int, texts []string) error) error {
	var batch []string
	first := 1
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := f(first, batch)
		first += len(batch)
		batch = batch[:0]
		return err
	}
	err := a.each(a.stdinLines(), func(line lines.Line) error {
		if batch = append(batch, string(line.Data)); len(batch) < batchLines {
			return nil
		}
		return flush()
	})
	if errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(flush(), err) // also the lines before a bad one
}

// losses counts the lines whose input or output was truncated.
type losses struct {
	Lines  int `json:"lines"`
	Cut    int `json:"lines_cut"` // lines with source tokens that did not fit
	Tokens int `json:"tokens_cut"`
	HitMax int `json:"lines_hit_max"` // lines with an output that --max-length ended
}

// line adds the losses of a line and warns of them.
func (l *losses) line(a *app, number, cut int, hitMax bool) {
	l.Lines++
	where := lines.Line{Name: lines.Stdin, Number: number}.Where()
	if cut > 0 {
		l.Cut++
		l.Tokens += cut
		a.ui.Warnf("%s: %d source tokens did not fit into the model and were cut", where, cut)
	}
	if hitMax {
		l.HitMax++
		a.ui.Warnf("%s: the translation is unfinished: it reached --max-length", where)
	}
}

// end prints the sums if anything was cut.
func (l *losses) end(a *app) {
	if l.Cut+l.HitMax > 0 {
		a.ui.Event("losses", fmt.Sprintf("translate: %d lines, %d cut (%d source tokens), %d unfinished at --max-length",
			l.Lines, l.Cut, l.Tokens, l.HitMax), l)
	}
}

// rawLine is the JSON of a line with --raw.
type rawLine struct {
	backend.Hypothesis
	Cut        int                  `json:"cut"` // source tokens
	HitMax     bool                 `json:"hit_max"`
	Hypotheses []backend.Hypothesis `json:"hypotheses,omitempty"` // all, best first
}

func (c *translateCmd) rawLines(a *app, t *backend.Translator, check *referenceCheck) error {
	var lost losses
	defer lost.end(a)
	return a.batches(func(first int, texts []string) error {
		out, err := t.Run(a.ctx, texts, nil)
		if err != nil {
			return err
		}
		for i, o := range out {
			lost.line(a, first+i, o.Cut, o.HitMax)
			if err := check.line(first+i, o.Text); err != nil {
				return err
			}
			if a.JSON {
				r := rawLine{Hypothesis: o.Hypothesis, Cut: o.Cut, HitMax: o.HitMax}
				if len(o.Others) > 0 {
					r.Hypotheses = append([]backend.Hypothesis{o.Hypothesis}, o.Others...)
				}
				err = json.NewEncoder(a.stdout).Encode(r)
			} else {
				_, err = fmt.Fprintln(a.stdout, o.Text)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *translateCmd) lines(a *app, o translate.Options, t *backend.Translator, check *referenceCheck) error {
	var lost losses
	defer lost.end(a)
	return a.batches(func(first int, texts []string) error {
		out, segments, err := translate.Lines(a.ctx, o, translate.Tools{Translator: t}, texts)
		if err != nil {
			return err
		}
		for i, text := range out {
			cut, hitMax := 0, false
			for j, s := range segments[i] {
				segments[i][j].Alternatives = s.Alternatives[:min(len(s.Alternatives), c.NumReturn-1)]
				cut += s.Cut
				hitMax = hitMax || slices.Contains(s.Flags, translate.FlagHitMax)
			}
			lost.line(a, first+i, cut, hitMax)
			if err := check.line(first+i, text); err != nil {
				return err
			}
			if a.JSON {
				err = json.NewEncoder(a.stdout).Encode(struct {
					Text     string                  `json:"text"`
					Cut      int                     `json:"cut"` // source tokens
					Segments []translate.LineSegment `json:"segments"`
				}{text, cut, segments[i]})
			} else {
				_, err = fmt.Fprintln(a.stdout, text)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

var _ translate.Translator = (*backend.Translator)(nil)
