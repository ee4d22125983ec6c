// Package decontaminate finds the rows of a training set that hold questions of the
// benchmarks that the model will be evaluated on, and removes or flags them. Rows are compared
// with the leaderboard's questions in the target language, and with the English originals of
// its translated benchmarks: a row translated from English has its source beside it.
package decontaminate

import (
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/nearest"
	"barka/internal/overlap"
)

// Options are everything that changes what the stage writes.
type Options struct {
	// Tasks lists the tasks whose questions are looked for, as for an evaluation, or is NoTasks.
	Tasks string `json:"tasks"`
	// Originals names English benchmarks (see OriginalNames), or files whose rows are
	// questions.
	Originals []string `json:"originals"`
	// NGram is the length of the compared sequences in words. A row that holds Threshold of
	// a question's sequences is contaminated.
	NGram     int     `json:"ngram"`
	Threshold float64 `json:"threshold"`
	// Passages looks for the passages of reading questions too. Without it a row that
	// has the passage and another question is kept.
	Passages bool `json:"passages"`
	// Flag keeps contaminated rows, with a value in their column contaminated.
	Flag bool `json:"flag"`
	// QuestionsDigest identifies the questions that were found. The stage sets it.
	QuestionsDigest string `json:"questions_digest,omitempty"`
	// Revisions pins datasets in the hub's cache. QuestionsDigest covers what they hold.
	Revisions benchdata.Revisions `json:"-"`
}

// NoTasks is the value of Options.Tasks that looks for the originals alone.
const NoTasks = "none"

// Defaults looks for all questions of the leaderboard and the originals of its translated
// benchmarks.
func Defaults() Options {
	return Options{Tasks: "oall", Originals: OriginalNames(), NGram: 8, Threshold: 0.5}
}

// original is the English original of a translated benchmark on the hub.
type original struct {
	repo, subset string
	splits       []string
}

var originals = map[string]original{
	"arc-challenge": {"allenai/ai2_arc", "ARC-Challenge", []string{"test", "validation"}},
	"arc-easy":      {"allenai/ai2_arc", "ARC-Easy", []string{"test", "validation"}},
	"boolq":         {"google/boolq", "default", []string{"validation"}},
	"copa":          {"aps/super_glue", "copa", []string{"test", "validation"}},
	"hellaswag":     {"Rowan/hellaswag", "default", []string{"test", "validation"}},
	"mmlu":          {"cais/mmlu", "all", []string{"test", "validation", "dev"}},
	"openbookqa":    {"allenai/openbookqa", "main", []string{"test", "validation"}},
	"piqa":          {"ybisk/piqa", "plain_text", []string{"test", "validation"}},
	"race":          {"ehovy/race", "all", []string{"test", "validation"}},
	"sciq":          {"allenai/sciq", "default", []string{"test", "validation"}},
	"toxigen":       {"toxigen/toxigen-data", "annotated", []string{"test"}},
}

// OriginalNames lists the names that Options.Originals may have.
func OriginalNames() []string { return slices.Sorted(maps.Keys(originals)) }

// IsFile reports whether an entry of Originals is a file, and not one of OriginalNames.
func IsFile(name string) bool {
	_, known := originals[name]
	return !known && strings.ContainsAny(name, "./\\")
}

// Validate returns an error for the first setting that cannot be right.
func (o Options) Validate() error {
	if _, err := o.selection(); err != nil {
		return err
	}
	for _, name := range o.Originals {
		if _, known := originals[name]; known || IsFile(name) {
			continue
		}
		hint := ""
		if near := nearest.Name(name, OriginalNames()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return badinput.Errorf("decontaminate: originals has %q, expected a file or one of %s%s", name,
			strings.Join(OriginalNames(), ", "), hint)
	}
	switch {
	case o.Tasks == NoTasks && len(o.Originals) == 0:
		return badinput.Errorf("decontaminate: tasks and originals name none, so that there is nothing to look for")
	case o.NGram < overlap.Shortest || o.NGram > 100:
		return badinput.Errorf("decontaminate: ngram is %d words, expected %d to 100", o.NGram, overlap.Shortest)
	case !(o.Threshold > 0 && o.Threshold <= 1):
		return badinput.Errorf("decontaminate: threshold is %g, expected more than 0 and at most 1", o.Threshold)
	}
	return nil
}

// selection parses Tasks.
func (o Options) selection() ([]tasks.Selection, error) {
	if o.Tasks == NoTasks {
		return nil, nil
	}
	list, err := tasks.ParseList(o.Tasks)
	if err != nil {
		return nil, badinput.Errorf("decontaminate: tasks: %w", err)
	}
	var out []tasks.Selection
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s.Task.Key()] {
			seen[s.Task.Key()] = true
			out = append(out, s)
		}
	}
	return out, nil
}

// Needs lists the splits of the hub's datasets that have the questions.
func (o Options) Needs() []benchdata.Need {
	var needs []benchdata.Need
	list, _ := o.selection()
	for _, s := range list {
		needs = append(needs, benchdata.Need{Repo: s.Task.Repo, Subset: s.Task.Subset, Split: s.Task.EvalSplit})
	}
	for _, name := range o.Originals {
		for _, split := range originals[name].splits {
			needs = append(needs, benchdata.Need{Repo: originals[name].repo, Subset: originals[name].subset, Split: split})
		}
	}
	return needs
}

// Lacking lists the needs that none of the directories meets. A directory that does not
// exist meets none.
func (o Options) Lacking(dirs []string) ([]benchdata.Need, error) {
	stores, err := open(dirs, o.Revisions)
	if err != nil {
		return nil, err
	}
	needs := o.Needs()
	for _, s := range stores {
		needs = s.Lacking(needs)
	}
	return needs, nil
}
