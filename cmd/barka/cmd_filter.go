package main

import (
	"barka/internal/stage/filter"
)

type filterCmd struct {
	In         string  `required:"" help:"Dataset of instructions."`
	Out        string  `required:"" help:"Dataset directory to write."`
	Preset     string  `help:"default, or seed: the original's rules alone." enum:"default,seed" default:"default"`
	MinScript  float64 `name:"min-script-share" help:"Least share of the target script among letters, in rows of every form; -1 keeps the preset's." default:"-1"`
	MinAnswer  int     `name:"min-answer-words" help:"Least words of an answer, in rows of every form; -1 keeps the preset's: 3 for questions about passages, none for benchmarks." default:"-1"`
	MinScore   float64 `help:"Least mean score of the translated sentences, such as -1.5; 0 is off." default:"0"`
	Duplicates bool    `name:"duplicates" negatable:"" help:"Drop rows whose text came before." default:"true"`
	Restart    bool    `help:"Throw away an output made with other options."`
}

func (filterCmd) Help() string {
	return `Every dropped row is kept under rejected/ with its reason. What is a defect depends on the form of a row: questions and conversations about a passage that they do not show, choices, texts to read with a question, sums in words, and instructions of any origin.

Example: barka filter --in data/translated --out data/clean`
}

func (c *filterCmd) options() filter.Options {
	o := filter.Defaults()
	if c.Preset == "seed" {
		o = filter.Seed()
	} else {
		o.Duplicates = c.Duplicates
	}
	o.Each(func(r *filter.Rules) {
		if c.MinScript >= 0 {
			r.MinScriptShare = c.MinScript
		}
		if c.MinAnswer >= 0 {
			r.MinAnswerWords = c.MinAnswer
		}
		r.MinScore = c.MinScore
	})
	return o
}

func (c *filterCmd) Run(a *app) error {
	m, err := filter.Run(a.ctx, c.options(), a.env(c.Out, map[string]string{"instructions": c.In}, c.Restart))
	if err != nil {
		return err
	}
	a.counts("filter", c.Out, m)
	return nil
}
