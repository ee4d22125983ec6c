package main

import (
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/stage/filter"
)

type filterCmd struct {
	In         string  `required:"" help:"Dataset of instructions." placeholder:"DIR"`
	Out        string  `required:"" help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Preset     string  `help:"Rules: default, or seed (only the original's)." enum:"default,seed" default:"default"`
	MinScript  float64 `name:"min-script-share" help:"Smallest share of the target script among letters; -1 is the preset's." default:"-1"`
	MinAnswer  int     `name:"min-answer-words" help:"Smallest number of words of an answer; -1 is the preset's." default:"-1"`
	MinScore   float64 `help:"Smallest mean score of the translated sentences, such as -1.5; 0 is off." default:"0"`
	Duplicates bool    `name:"duplicates" negatable:"" help:"Drop rows whose text an earlier row has." default:"true"`
	Near       float64 `name:"near-duplicates" help:"Drop rows this similar to an earlier row, by runs of three words; 0 keeps them." default:"0.8"`
	Hashes     int     `name:"permutations" help:"Hashes by which near-duplicates are found; more find more." default:"128"`
	Restart    bool    `help:"Discard an output made with other options."`
}

func (filterCmd) Help() string {
	return `Every dropped row is kept under rejected/ with its reason. The rules depend on the form of a row:
question, conversation, choice, reading, arithmetic or instruction (docs/data.md).
--min-script-share and --min-answer-words apply to every form. By default only answers to questions
and in conversations need a number of words, which is 3.

A near-duplicate names the row that is kept in its place: the first of its cluster. --near-duplicates
is a Jaccard similarity. The column cluster has the id of the first of somewhat similar rows.
--preset seed keeps duplicates and near-duplicates.

Examples: filter translated rows; the same, dropping only rows that are almost equal.

  barka filter --in data/translated --out data/clean
  barka filter --in data/translated --out data/clean --near-duplicates 0.95
` + outHelp
}

func (c *filterCmd) options() filter.Options {
	o := filter.Defaults()
	if c.Preset == "seed" {
		o = filter.Seed()
	} else {
		o.Duplicates, o.NearDuplicates, o.Permutations = c.Duplicates, c.Near, c.Hashes
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
	in := map[string]string{"instructions": c.In}
	return records[dataset.Instruction](a, "filter", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return filter.Run(a.ctx, c.options(), env)
	})
}
