package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/stage/filter"
)

type filterCmd struct {
	In          string   `required:"" help:"Dataset of instructions." placeholder:"DIR"`
	Out         string   `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Explain     string   `help:"Write nothing; show every rule's value, threshold and verdict for the row with this id." placeholder:"ID"`
	Preset      string   `help:"Rules: default, fineweb2 (all thresholds of FineWeb-2), or seed (only the original's)." enum:"default,fineweb2,seed" default:"default"`
	SkipRules   []string `help:"Rules to leave out, by the names they have in rejected/." placeholder:"NAME"`
	MinScript   float64  `name:"min-script-share" help:"Smallest share of the target script among letters; -1 is the preset's." default:"-1"`
	MinLanguage float64  `help:"Smallest probability of the row's language; -1 is the preset's." default:"-1"`
	MinAnswer   int      `name:"min-answer-words" help:"Smallest number of words of an answer; -1 is the preset's." default:"-1"`
	MinScore    float64  `help:"Smallest mean score of the translated sentences, such as -1.5; 0 is off." default:"0"`
	RejectFlags []string `help:"Flags of translated sentences that drop a row." default:"empty,hit_max,source_cut,unk_in_output" placeholder:"FLAG"`
	Blocklist   string   `help:"File of words that drop a row beside the built-in lists, one per line." placeholder:"FILE"`
	Digits      string   `help:"Digits of the rows that are kept: keep, ascii (0-9) or arabic (٠-٩)." enum:"keep,ascii,arabic" default:"keep"`
	Normalise   []string `help:"What else is changed in them: ${enum}." enum:"bidi,presentation,persian,tatweel,harakat,isolate_latin,none" default:"bidi,presentation,persian"`
	Duplicates  bool     `name:"duplicates" negatable:"" help:"Drop rows whose text an earlier row has." default:"true"`
	Near        float64  `name:"near-duplicates" help:"Drop rows this similar to an earlier row, by runs of three words; 0 keeps them." default:"0.8"`
	Hashes      int      `name:"permutations" help:"Hashes by which near-duplicates are found; more find more." default:"128"`
	Earlier     []string `help:"Datasets whose rows are not repeated: a row like one of theirs is a duplicate." placeholder:"PATH"`
	Restart     bool     `help:"Discard an output made with other options."`
}

func (filterCmd) Help() string {
	return `Every dropped row is kept under rejected/ with its reason. The rules depend on the form of a row:
question, conversation, choice, reading, arithmetic or instruction (docs/data.md).
--min-script-share and --min-answer-words apply to every form. By default only answers to questions
and in conversations need a number of words, which is 3.

The rules look for other languages, damaged characters, HTML, answers that refuse, repeat the question
or break off, numbers lost in translation, abuse, and more. --explain shows them for one row.
--normalise changes the text of kept rows in languages of the Arabic script: control characters of
direction (bidi) and presentation forms go, Persian letters become Arabic ones in Arabic. On request
tatweel and marks of vowels (harakat) go, and Latin words are isolated. none changes nothing.

A near-duplicate names the row that is kept in its place: the first of its cluster. --near-duplicates
is a Jaccard similarity. The column cluster has the id of the first of somewhat similar rows. Rows of
--earlier come before all others; what repeats them is dropped as duplicate_across_sets or
near_duplicate_across_sets.
--preset seed keeps duplicates and near-duplicates, and changes no text.

Examples: filter translated rows; drop only rows that are almost equal; show why a row was dropped.

  barka filter --in data/translated --out data/clean
  barka filter --in data/translated --out data/clean --near-duplicates 0.95
  barka filter --in data/translated --explain arc-e-17
` + outHelp
}

func (c *filterCmd) options() filter.Options {
	o := filter.Defaults()
	switch c.Preset {
	case filter.PresetSeed:
		o = filter.Seed()
	case filter.PresetFineWeb:
		o = filter.FineWeb2()
	}
	if c.Preset != filter.PresetSeed {
		o.Duplicates, o.NearDuplicates, o.Permutations = c.Duplicates, c.Near, c.Hashes
		o.RejectFlags = c.RejectFlags
		o.Normalise = c.normalise()
	}
	o.SkipRules, o.Blocklist = c.SkipRules, c.Blocklist
	o.Each(func(r *filter.Rules) {
		if c.MinScript >= 0 {
			r.MinScriptShare = c.MinScript
		}
		if c.MinLanguage >= 0 {
			r.MinLanguage = c.MinLanguage
		}
		if c.MinAnswer >= 0 {
			r.MinAnswerWords = c.MinAnswer
		}
		r.MinScore = c.MinScore
	})
	return o
}

func (c *filterCmd) normalise() filter.Normalise {
	has := func(name string) bool { return slices.Contains(c.Normalise, name) }
	return filter.Normalise{Digits: c.Digits, Bidi: has("bidi"), Presentation: has("presentation"), Persian: has("persian"),
		Tatweel: has("tatweel"), Harakat: has("harakat"), IsolateLatin: has("isolate_latin")}
}

func (c *filterCmd) Run(a *app) error {
	switch {
	case c.Explain != "":
		return c.explain(a)
	case c.Out == "":
		return usagef("filter: --out is missing: the directory to write; or --explain ID to look at one row")
	}
	in := map[string]string{"instructions": c.In}
	for i, path := range c.Earlier {
		in[fmt.Sprintf("%s%03d %s", dataset.EarlierInput, i+1, filepath.Base(path))] = path
	}
	return records[dataset.Instruction](a, "filter", c.Out, in, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return filter.Run(a.ctx, c.options(), env)
	})
}

// explain shows what every rule says of one row.
func (c *filterCmd) explain(a *app) error {
	all, err := filter.Explain(a.ctx, c.options(), c.In, c.Explain)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, e := range all {
		message := ""
		if e.Message > 0 {
			message = fmt.Sprint(e.Message)
		}
		rows = append(rows, []any{e.Rule, e.Measures, message, e.Value, e.Bound, e.Verdict, e.Detail})
	}
	return a.ui.Table([]string{"rule", "measures", "message", "value", "threshold", "verdict", "detail"}, rows)
}
