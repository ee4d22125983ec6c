// Package filter drops instructions that should not be trained on, each with
// the first reason against it. Preset "seed" applies the rules of the BARKA
// models and nothing else.
package filter

import (
	"context"

	"barka/internal/badinput"
	"barka/internal/pipeline"
)

// version changes when the same options would give another output.
const version = 1

// Options are everything that changes what filter writes. A bound of zero is
// not applied.
type Options struct {
	// SeedRules applies the original's rules: no " text " in a question, more
	// than 10 words in an answer, no <unk>, text of the target's script that
	// does not begin with a Latin word.
	SeedRules bool `json:"seed_rules"`
	// MinScriptShare is the least share of the target script among letters.
	MinScriptShare float64 `json:"min_script_share"`
	// MinAnswerWords and MaxChars bound answers and messages.
	MinAnswerWords int `json:"min_answer_words"`
	MaxChars       int `json:"max_chars"`
	// MinLengthRatio and MaxLengthRatio bound a message's characters over its
	// English source's.
	MinLengthRatio float64 `json:"min_length_ratio"`
	MaxLengthRatio float64 `json:"max_length_ratio"`
	// MinScore bounds the mean score of a row's translated sentences.
	MinScore float64 `json:"min_score,omitempty"`
	// Repetition drops messages in which four words in a row occur four times.
	Repetition bool `json:"repetition"`
	// Leaks drops rows that speak of "the text" they were made from.
	Leaks bool `json:"leaks"`
	// Truncated drops rows whose generation was cut.
	Truncated bool `json:"truncated"`
	// Duplicates drops rows whose conversation, normalised, came before.
	Duplicates bool `json:"duplicates"`
}

// Defaults are our own rules.
func Defaults() Options {
	return Options{MinScriptShare: 0.75, MinAnswerWords: 3, MaxChars: 20000, MinLengthRatio: 0.3, MaxLengthRatio: 3, Repetition: true, Leaks: true, Truncated: true, Duplicates: true}
}

// Seed are the original's rules.
func Seed() Options { return Options{SeedRules: true} }

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.MinScriptShare < 0 || o.MinScriptShare > 1:
		return badinput.Errorf("filter: min_script_share is %g, expected a number from 0 to 1", o.MinScriptShare)
	case o.MinAnswerWords < 0 || o.MaxChars < 0:
		return badinput.Errorf("filter: min_answer_words and max_chars must not be negative")
	case o.MinLengthRatio < 0 || o.MaxLengthRatio < 0 || o.MaxLengthRatio > 0 && o.MaxLengthRatio < o.MinLengthRatio:
		return badinput.Errorf("filter: length ratios from %g to %g: expected two positive numbers, the smaller first", o.MinLengthRatio, o.MaxLengthRatio)
	case o.MinScore > 0:
		return badinput.Errorf("filter: min_score is %g, expected a log-probability, which is negative", o.MinScore)
	}
	return nil
}

// Run filters the instructions in io.In["instructions"].
func Run(ctx context.Context, o Options, io pipeline.IO) (*pipeline.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	run, err := pipeline.Begin(io.Out, pipeline.Identity{Stage: "filter", Version: version, Options: o, Inputs: io.In, Seed: io.Seed}, io.Restart)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if run.Done() {
		return run.Manifest(), nil
	}
	path := io.In["instructions"]
	total, err := pipeline.Count(path)
	if err != nil {
		return nil, err
	}
	w, err := pipeline.NewWriter[pipeline.Instruction](run)
	if err != nil {
		return nil, err
	}
	io.Progress.Start("filter", int64(total), "rows")
	defer io.Progress.Done()
	f := &filter{o: o, seen: map[string]string{}}
	for r, err := range pipeline.Rows[pipeline.Instruction](ctx, path) {
		if err != nil {
			return nil, err
		}
		io.Progress.Add(1)
		if reason := f.check(r); reason.Reason != "" {
			err = w.Reject(r, reason)
		} else {
			err = w.Write(r)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := run.Finish(pipeline.Final{}); err != nil {
		return nil, err
	}
	return run.Manifest(), nil
}
