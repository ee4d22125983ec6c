package main

import (
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/hub"
	"barka/internal/stage/mix"
	"barka/internal/tokenizer"
)

type mixCmd struct {
	In           map[string]string  `required:"" help:"Dataset of instructions with its name; repeatable." placeholder:"NAME=DIR"`
	Out          string             `required:"" help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Name         string             `help:"Name of the set on its card." default:"barka"`
	Licence      string             `help:"Licence of the set on its card; default: the strictest of the rows'."`
	Validation   float64            `help:"Share of the rows held back for validation, by whole pages, passages and clusters." default:"0"`
	Limit        map[string]int     `help:"Largest number of rows of a dataset; repeatable." placeholder:"NAME=N"`
	AtLeast      map[string]int     `help:"Least number of different rows of a dataset; fewer are an error. Repeatable." placeholder:"NAME=N"`
	Weights      map[string]float64 `help:"Share of the training rows, in proportion to the other weights; repeatable." placeholder:"NAME=W"`
	WeightsBy    string             `help:"What weights name: dataset, source (an input) or form." enum:"dataset,source,form" default:"dataset"`
	WeightsOf    string             `help:"What the weights measure: rows, tokens, or one of several --tokenizers." default:"rows"`
	Size         int64              `help:"Rows or tokens that the weights divide; default: as many as there are." placeholder:"N"`
	MaxRepeats   int                `help:"Most copies of a row that weights may make." default:"4"`
	Tokenizers   []string           `help:"Models whose tokenizers count the tokens of each source, before and after." placeholder:"MODEL"`
	CountSpecial bool               `help:"Count the tokens that a tokenizer adds to each message, such as BOS."`
	Drop         string             `help:"Rows to leave out, by their ids: drop.jsonl of barka audit." placeholder:"FILE"`
	Review       string             `help:"Review file: rows to accept, edit or reject, by their ids (docs/data.md)." placeholder:"FILE"`
	Restart      bool               `help:"Discard an output made with other options."`
}

func (mixCmd) Help() string {
	return `A --licence that the licence of a row forbids is refused. Without it, the set has the strictest of the
rows' licences if that one covers all of them; else the card lists the licence of each source.

With --weights every dataset (or source, or form) has a weight. Sets are repeated or left out in part until
their shares of the training rows are as the weights. The first rows of the shuffle are taken, so that the
choice depends on the seed and the rows alone.

The output has a card (README.md), Croissant metadata (croissant.json) and the counts of each source before
and after (sources.json). Memory does not grow with the input.

Examples:

  barka mix --in wiki=data/clean --out data/train --validation 0.02 --tokenizers google/gemma-2-2b-it
  barka mix --in wiki=clean-wiki --in race=clean-race --out train --weights wiki-single=3 --weights race=1
` + outHelp + ` A file
of validation rows is named like out.validation.jsonl.`
}

func (c *mixCmd) options() mix.Options {
	o := mix.Defaults()
	o.Name, o.Licence, o.Validation, o.Limits, o.Drop = c.Name, c.Licence, c.Validation, c.Limit, c.Drop
	o.Review, o.AtLeast, o.Size, o.MaxRepeats, o.CountSpecial = c.Review, c.AtLeast, c.Size, c.MaxRepeats, c.CountSpecial
	if o.Weights = c.Weights; len(o.Weights) > 0 {
		o.WeightsBy, o.WeightsOf = c.WeightsBy, c.WeightsOf
	}
	return o
}

func (c *mixCmd) Run(a *app) error {
	for _, model := range c.Tokenizers {
		if err := a.ensure(tokenizerOf(model)); err != nil {
			return err
		}
	}
	counters, err := counters(c.Tokenizers, c.CountSpecial)
	if err != nil {
		return err
	}
	dir := ""
	err = records[dataset.Conversation](a, "mix", c.Out, c.In, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		dir = env.Out
		return mix.Run(a.ctx, c.options(), counters, env)
	})
	if err != nil {
		return err
	}
	sources, err := mix.ReadSources(dir)
	if err != nil || sources == nil {
		return err
	}
	return a.ui.Table(sources.Table())
}

// counters opens the tokenizers of models, by the models' names. special counts what they
// add to a text.
func counters(models []string, special bool) (map[string]mix.Counter, error) {
	out := map[string]mix.Counter{}
	for _, name := range models {
		dir, err := hub.Resolve(name)
		if err != nil {
			return nil, err
		}
		tok, err := tokenizer.Load(dir)
		if err != nil {
			return nil, err
		}
		out[name] = func(s string) int { return len(tok.Encode(s, special)) }
	}
	return out, nil
}
