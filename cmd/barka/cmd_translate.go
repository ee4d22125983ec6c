package main

import (
	"encoding/json"
	"fmt"

	"barka/internal/local"
	"barka/internal/pipeline"
	"barka/internal/stage/translate"
)

type translateCmd struct {
	Model         string  `required:"" help:"Model directory, or hub id, of NLLB or another M2M-100 model."`
	From          string  `help:"Source language code." default:"eng_Latn"`
	To            string  `help:"Target language code." default:"arb_Arab"`
	Beam          int     `help:"Beams; 1 is greedy." default:"5"`
	MaxLength     int     `help:"Most output tokens of a sentence." default:"512"`
	LengthPenalty float64 `help:"Exponent of the length that scores are divided by." default:"1"`
	NoRepeatNGram int     `name:"no-repeat-ngram" help:"Forbid repeating this many tokens; 0 is off." default:"0"`
	DType         string  `name:"dtype" help:"Type of the weights: f32, bf16 or int8; the checkpoint's own by default."`
	MaxTokens     int     `help:"Longest sentence given to the model, in its tokens; longer ones are cut at clauses." default:"128"`
	Raw           bool    `help:"One model call a line, no sentence splitting: as transformers does."`
	Punctuation   bool    `name:"arabic-punctuation" help:"Write Arabic comma, semicolon and question mark."`
	In            string  `help:"Dataset of instructions to translate, instead of lines on standard input." placeholder:"PATH"`
	Out           string  `help:"Dataset directory to write, with --in." placeholder:"DIR"`
	Restart       bool    `help:"Throw away an output made with other options."`
	DryRun        bool    `help:"Count sentences and tokens, translate nothing."`
}

func (translateCmd) Help() string {
	return `Translates standard input line by line, or the messages of a dataset (--in, --out).

Example: echo "Good morning." | barka translate --model facebook/nllb-200-distilled-600M --to arb_Arab

With --json each line gives {"text", "ids", "score"} with --raw, else {"text", "segments"}.`
}

func (c *translateCmd) Run(a *app) error {
	if err := a.need(weights(c.Model)); err != nil {
		return err
	}
	t, err := a.engine(c.DType).OpenTranslator(c.Model, local.TranslatorOptions{
		From: c.From, To: c.To, Beams: c.Beam, MaxLength: c.MaxLength, LengthPenalty: c.LengthPenalty, NoRepeatNGram: c.NoRepeatNGram})
	if err != nil {
		return err
	}
	o := translate.Defaults()
	o.From, o.To, o.Beams, o.MaxTokens, o.ArabicPunctuation = c.From, c.To, c.Beam, c.MaxTokens, c.Punctuation
	if err := o.Validate(); err != nil {
		return err
	}
	switch {
	case c.In != "":
		return c.dataset(a, o, t)
	case c.Out != "":
		return usagef("translate: --out needs --in")
	case c.Raw:
		return c.rawLines(a, t)
	}
	return c.lines(a, o, t)
}

func (c *translateCmd) dataset(a *app, o translate.Options, t *local.Translator) error {
	st := local.StageTranslator{Translator: t}
	o.Whole = c.Raw
	if c.DryRun {
		e, err := translate.Plan(a.ctx, o, st, c.In)
		if err != nil {
			return err
		}
		return a.ui.Print(fmt.Sprintf("%d rows, %d sentences, %d of them different, %d source tokens", e.Rows, e.Segments, e.Distinct, e.Tokens), e)
	}
	if c.Out == "" {
		return usagef("translate: --in needs --out")
	}
	digest, err := a.engine(c.DType).Digest(c.Model)
	if err != nil {
		return err
	}
	o.ModelDigest = digest
	m, err := translate.Run(a.ctx, o, st, a.io(c.Out, map[string]string{"instructions": c.In}, c.Restart))
	if err != nil {
		return err
	}
	a.counts("translate", c.Out, m)
	return nil
}

// batchLines is how many lines are translated together; the output keeps the
// order of the input.
const batchLines = 32

// batches collects lines and hands them on.
func (a *app) batches(f func(lines []string) error) error {
	var batch []string
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := f(batch)
		batch = batch[:0]
		return err
	}
	err := a.lines(func(_ int, line string) error {
		if batch = append(batch, line); len(batch) < batchLines {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (c *translateCmd) rawLines(a *app, t *local.Translator) error {
	return a.batches(func(lines []string) error {
		out, err := t.Run(a.ctx, lines, nil)
		if err != nil {
			return err
		}
		for _, o := range out {
			if o.Cut > 0 {
				a.ui.Warnf("%d source tokens did not fit into the model and were cut", o.Cut)
			}
			if a.JSON {
				err = json.NewEncoder(a.stdout).Encode(map[string]any{"text": o.Text, "ids": o.IDs, "score": o.Score})
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

func (c *translateCmd) lines(a *app, o translate.Options, t *local.Translator) error {
	return a.batches(func(lines []string) error {
		texts, segments, err := translate.Lines(a.ctx, o, local.StageTranslator{Translator: t}, lines)
		if err != nil {
			return err
		}
		for i, text := range texts {
			if a.JSON {
				err = json.NewEncoder(a.stdout).Encode(struct {
					Text     string             `json:"text"`
					Segments []pipeline.Segment `json:"segments"`
				}{text, segments[i]})
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

var _ translate.Translator = local.StageTranslator{}
