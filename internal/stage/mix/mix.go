// Package mix joins datasets of instructions into one shuffled training set,
// with a validation share, a token table and a dataset card.
package mix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/review"
)

// version changes when the same options would give another output.
const version = 4

const changed = "few-shot rows that show a row of the validation set are rejected"

// Options are everything that changes what mix writes.
type Options struct {
	Name string `json:"name"` // of the set, in its card
	// Validation is the share of rows that go to the validation set.
	Validation float64 `json:"validation"`
	// Limits bounds the rows taken of a dataset, by its name.
	Limits map[string]int `json:"limits,omitempty"`
	// AtLeast is the least number of different rows of a dataset that the mix needs.
	AtLeast map[string]int `json:"at_least,omitempty"`
	// Weights are the shares of the training rows, in proportion to each other, by the
	// names of datasets. Rows are repeated or left out for them.
	Weights map[string]float64 `json:"weights,omitempty"`
	// WeightsBy says what the weights name: "dataset" (the default), "source" (the name
	// of an input) or "form".
	WeightsBy string `json:"weights_by,omitempty"`
	// WeightsOf says what they measure: "rows" (the default), "tokens", or the name of
	// one of several tokenizers.
	WeightsOf string `json:"weights_of,omitempty"`
	// Size is the amount of rows or tokens that the weights divide. 0 is the amount that
	// the inputs have.
	Size int64 `json:"size,omitempty"`
	// MaxRepeats bounds the copies of a row.
	MaxRepeats int `json:"max_repeats,omitempty"`
	// Tokenizers names the counters of the token table.
	Tokenizers []string `json:"tokenizers,omitempty"`
	// CountSpecial counts the tokens that a tokenizer adds to each message, such as BOS.
	CountSpecial bool `json:"count_special,omitempty"`
	// Licence of the set, for its card: one that the licences of its rows allow.
	// "" is the strictest of theirs if it covers all, else that of each source.
	Licence string `json:"licence,omitempty"`
	// Drop is a file of rows to leave out by their ids, such as an audit's
	// drop.jsonl. It counts by its content, as an input does.
	Drop string `json:"-"`
	// Review is a file of verdicts about rows; see package review. It counts by
	// its content too.
	Review string `json:"-"`
}

// Defaults hold back nothing.
func Defaults() Options { return Options{Name: "barka", MaxRepeats: 4} }

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Name == "":
		return badinput.Errorf("mix: the set has no name")
	case o.Validation < 0 || o.Validation >= 1:
		return badinput.Errorf("mix: validation is %g, expected at least 0 and less than 1", o.Validation)
	}
	for d, n := range o.Limits {
		if n < 0 {
			return badinput.Errorf("mix: the limit of %s is %d, expected 0 or more", d, n)
		}
	}
	for d, n := range o.AtLeast {
		if limit, ok := o.Limits[d]; n < 0 || ok && n > limit {
			return badinput.Errorf("mix: at_least of %s is %d, expected 0 or more and no more than its limit", d, n)
		}
	}
	return o.validateWeights()
}

// Counter counts the tokens of a text.
type Counter func(string) int

// Run mixes all inputs of env.In into env.Out. Rows are ordered by a hash of
// the seed and their ids, so that adding a dataset does not reorder the
// others. counters are the tokenizers named in the options.
func Run(ctx context.Context, o Options, counters map[string]Counter, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Tokenizers = o.Tokenizers[:0:0]
	for name := range counters {
		o.Tokenizers = append(o.Tokenizers, name)
	}
	slices.Sort(o.Tokenizers)
	if err := o.CheckUnit(); err != nil {
		return nil, err
	}
	inputs := maps.Clone(env.In)
	if o.Drop != "" {
		inputs["--drop"] = o.Drop
	}
	if o.Review != "" {
		inputs["--review"] = o.Review
	}
	id := durable.Identity{Stage: "mix", Version: version, Changed: changed, Options: o, Inputs: inputs}
	m := &mixer{o: o, counters: counters, env: env}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (durable.Final, error) {
		counts, err := m.run(ctx, run)
		if badinput.Is(err) { // another command must be able to begin
			err = errors.Join(err, discard(run.Dir()))
		}
		if err != nil {
			return durable.Final{}, err
		}
		lineage, err := m.lineage(ctx)
		if err != nil {
			return durable.Final{}, err
		}
		return durable.Final{Card: m.card(lineage), Counts: counts, Tokens: m.tokens(), Notes: m.notes, Files: m.files}, nil
	})
}

// ValidationName is the sub-set that holds the validation rows.
const ValidationName = "validation"

type mixer struct {
	o        Options
	counters map[string]Counter
	env      durable.Env
	drop     map[string]string // ids to leave out, with the reason
	total    int64             // rows of the inputs
	classes  []*class
	kinds    map[string]int64
	examples []dataset.Conversation
	notes    []string
}

// run reads the inputs twice and writes the mix. The survey decides what becomes of each
// row. The second pass spools the rows in ranges of the shuffle, so that memory holds one
// range. Both go on where they were interrupted; the writing begins again.
func (m *mixer) run(ctx context.Context, run *durable.Run) (counts map[string]int64, err error) {
	for _, path := range m.env.In {
		n, err := dataset.Count(path)
		if err != nil {
			return nil, err
		}
		m.total += int64(n)
	}
	if m.drop, err = readDrop(ctx, m.o.Drop); err != nil {
		return nil, err
	}
	s, err := m.survey(ctx, run)
	if err != nil {
		return nil, err
	}
	defer s.spool.close()
	p, err := m.plan(s, run.Dir())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	m.classes = s.Classes
	if err := m.checkLicence(); err != nil {
		return nil, err
	}
	rows, err := m.sort(ctx, run, p)
	if err != nil {
		return nil, err
	}
	defer rows.spool.close()
	m.kinds = rows.Kinds
	if err := m.write(ctx, run, rows, p.records); err != nil {
		return nil, err
	}
	return m.counts(p, rows), nil
}

// counts are those of the manifest.
func (m *mixer) counts(p *plan, rows *sorted) map[string]int64 {
	_, all := m.lines(func(*class) string { return "" })
	m.notes = append(m.notes, rows.Notes...)
	if all.rows == 0 {
		m.notes = append(m.notes, fmt.Sprintf("none of the %d rows could be used; rejected/ has the reason of each", p.records))
	}
	counts := map[string]int64{"train": all.train, "validation": all.validation}
	if len(m.o.Weights) > 0 {
		counts["repeated"] = all.train + all.validation - all.rows
	}
	maps.Copy(counts, rows.Review)
	return counts
}

// readDrop returns the ids in a file of rows, each with what is said of it;
// none for no file.
func readDrop(ctx context.Context, path string) (map[string]string, error) {
	drop := map[string]string{}
	if path == "" {
		return drop, nil
	}
	n := 0
	for row, err := range dataset.Rows[map[string]any](ctx, path) {
		if err != nil {
			return nil, err
		}
		n++
		id, _ := row["id"].(string)
		if id == "" {
			return nil, badinput.Errorf("%s: row %d has no id; rows are dropped by ids, and the set it is from must have them", path, n)
		}
		drop[id] = "listed in " + path
		if task, ok := row["task"].(string); ok {
			drop[id] = fmt.Sprintf("%v of question %v of %s", row["share"], row["question"], task)
		}
	}
	return drop, nil
}

// refuse returns why a row cannot be trained on, or nothing. An edit of the review
// replaces the row's messages. Ids that occur twice are found by the plan.
func (m *mixer) refuse(r *dataset.Instruction, reviewed *review.Application) dataset.Reject {
	if r.ID == "" {
		return dataset.Reject{Reason: "no_id"}
	}
	reason := dataset.CheckTurns(r.Messages)
	if reason == nil {
		r.Messages, reason = reviewed.Apply(r.ID, r.Messages)
	}
	if reason != nil {
		return *reason
	}
	if why, ok := m.drop[r.ID]; ok {
		return dataset.Reject{Reason: "dropped", Detail: why}
	}
	return dataset.Reject{}
}
