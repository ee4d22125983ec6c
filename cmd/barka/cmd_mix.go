package main

import (
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/hub"
	"barka/internal/stage/mix"
	"barka/internal/tokenizer"
)

type mixCmd struct {
	In         map[string]string `required:"" help:"Dataset of instructions with its name; repeatable." placeholder:"NAME=DIR"`
	Out        string            `required:"" help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Name       string            `help:"Name of the set on its card." default:"barka"`
	Licence    string            `help:"Licence of the set on its card; default: the strictest of the rows'."`
	Validation float64           `help:"Share of the rows held back for validation." default:"0"`
	Limit      map[string]int    `help:"Largest number of rows of a dataset; repeatable." placeholder:"NAME=N"`
	Tokenizers []string          `help:"Models whose tokenizers count the tokens of the card's table." placeholder:"MODEL"`
	Drop       string            `help:"Rows to leave out, by their ids: drop.jsonl of barka audit." placeholder:"FILE"`
	Review     string            `help:"Review file: rows to accept, edit or reject, by their ids (docs/data.md)." placeholder:"FILE"`
	Restart    bool              `help:"Discard an output made with other options."`
}

func (mixCmd) Help() string {
	return `A --licence that the licence of a row forbids is refused. Without it, the set has the strictest of the
rows' licences if that one covers all of them; else the card lists the licence of each source.

Example:

  barka mix --in wiki=data/clean --out data/train --validation 0.02 --tokenizers google/gemma-2-2b-it
` + outHelp + ` A file
of validation rows is named like out.validation.jsonl.`
}

func (c *mixCmd) options() mix.Options {
	o := mix.Defaults()
	o.Name, o.Licence, o.Validation, o.Limits, o.Drop = c.Name, c.Licence, c.Validation, c.Limit, c.Drop
	o.Review = c.Review
	return o
}

func (c *mixCmd) Run(a *app) error {
	for _, model := range c.Tokenizers {
		if err := a.ensure(tokenizerOf(model)); err != nil {
			return err
		}
	}
	counters, err := counters(c.Tokenizers)
	if err != nil {
		return err
	}
	return records[dataset.Conversation](a, "mix", c.Out, c.In, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return mix.Run(a.ctx, c.options(), counters, env)
	})
}

// counters opens the tokenizers of models, by the models' names.
func counters(models []string) (map[string]mix.Counter, error) {
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
		out[name] = func(s string) int { return len(tok.Encode(s, false)) }
	}
	return out, nil
}
