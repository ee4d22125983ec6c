// Package mix joins datasets of instructions into one shuffled training set,
// with a validation share, a token table and a dataset card.
package mix

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/review"
)

// version changes when the same options would give another output.
const version = 2

// Options are everything that changes what mix writes.
type Options struct {
	Name string `json:"name"` // of the set, in its card
	// Validation is the share of rows that go to the validation set.
	Validation float64 `json:"validation"`
	// Limits bounds the rows taken of a dataset, by its name.
	Limits map[string]int `json:"limits,omitempty"`
	// Tokenizers names the counters of the token table.
	Tokenizers []string `json:"tokenizers,omitempty"`
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
func Defaults() Options { return Options{Name: "barka"} }

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
	return nil
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
	inputs := maps.Clone(env.In)
	if o.Drop != "" {
		inputs["--drop"] = o.Drop
	}
	if o.Review != "" {
		inputs["--review"] = o.Review
	}
	id := durable.Identity{Stage: "mix", Version: version, Options: o, Inputs: inputs}
	m := &mixer{o: o, counters: counters, env: env, taken: map[string]int{}, table: map[string]*line{},
		sources: map[string]bool{}, used: map[use]int{}}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (durable.Final, error) {
		if err := m.run(ctx, run); err != nil {
			return durable.Final{}, err
		}
		counts := map[string]int64{"train": m.train, "validation": m.val}
		maps.Copy(counts, m.review.Counts())
		return durable.Final{Card: m.card(), Counts: counts, Tokens: m.tokens(), Notes: append(m.notes, m.review.Notes()...)}, nil
	})
}

// ValidationName is the sub-set that holds the validation rows.
const ValidationName = "validation"

type mixer struct {
	o          Options
	counters   map[string]Counter
	env        durable.Env
	taken      map[string]int
	table      map[string]*line
	sources    map[string]bool // generators, translators and languages, for the card
	used       map[use]int     // rows
	notes      []string
	review     *review.Application
	train, val int64
	rows       []dataset.Instruction
	rejects    []rejected
}

type rejected struct {
	row    dataset.Instruction
	reason dataset.Reject
}

func (m *mixer) run(ctx context.Context, run *durable.Run) error {
	if err := m.read(ctx); err != nil {
		return err
	}
	if err := m.checkLicence(); err != nil {
		return err
	}
	w, err := durable.NewWriter[dataset.Conversation](run)
	if err != nil {
		return err
	}
	var held *durable.Writer[dataset.Conversation]
	if m.o.Validation > 0 {
		if held, err = durable.NewSplit[dataset.Conversation](run, ValidationName); err != nil {
			return err
		}
	}
	for _, r := range m.rejects {
		if err := w.Reject(r.row, r.reason); err != nil {
			return err
		}
	}
	for _, r := range m.rows {
		c := conversation(r)
		if held != nil && m.holds(r.ID) {
			m.val++
			if err := held.Write(c); err != nil {
				return err
			}
			continue
		}
		m.train++
		if err := w.Write(c); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether a row belongs to the validation set: a function of
// the seed and the row alone.
func (m *mixer) holds(id string) bool {
	return float64(dataset.RecordSeed(m.env.Seed, id, "mix/validation"))/(1<<63) < m.o.Validation
}

// read takes the rows of all inputs and shuffles them.
func (m *mixer) read(ctx context.Context) error {
	names := make([]string, 0, len(m.env.In))
	for n := range m.env.In {
		names = append(names, n)
	}
	slices.Sort(names)
	drop, err := readDrop(ctx, m.o.Drop)
	if err != nil {
		return err
	}
	if m.review, err = review.Open(ctx, m.o.Review); err != nil {
		return err
	}
	seen, sets, dropped := map[string]bool{}, map[string]bool{}, 0
	m.env.Progress.Start("mix", -1, "rows")
	defer m.env.Progress.Done()
	for _, n := range names {
		if err := dataset.Require(m.env.In[n], dataset.Instructions); err != nil {
			return err
		}
		for r, err := range dataset.Rows[dataset.Instruction](ctx, m.env.In[n]) {
			if err != nil {
				return err
			}
			m.env.Progress.Add(1)
			sets[r.Dataset] = true
			reason := refuse(r, seen)
			if reason.Reason == "" {
				var rejected *dataset.Reject
				if r.Messages, rejected = m.review.Apply(r.ID, r.Messages); rejected != nil {
					reason = *rejected
				}
			}
			if why, ok := drop[r.ID]; ok && reason.Reason == "" {
				reason = dataset.Reject{Reason: "dropped", Detail: why}
				dropped++
			}
			if reason.Reason != "" {
				m.rejects = append(m.rejects, rejected{r, reason})
				continue
			}
			m.rows = append(m.rows, r)
		}
	}
	if len(m.rows)+len(m.rejects) == 0 {
		return badinput.Errorf("mix: none of %s has a row, so there is nothing to mix", strings.Join(names, ", "))
	}
	if len(drop) > 0 && dropped == 0 {
		return badinput.Errorf("%s: none of its %d ids is in the sets to mix; was another set audited?", m.o.Drop, len(drop))
	}
	for d := range m.o.Limits {
		if !sets[d] {
			return badinput.Errorf("mix: limit of %s: no row is of a dataset of that name; datasets there: %s", d,
				strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
		}
	}
	slices.SortFunc(m.rows, func(a, b dataset.Instruction) int {
		return cmp.Or(cmp.Compare(m.order(a.ID), m.order(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	kept := m.rows[:0]
	for _, r := range m.rows {
		if limit, ok := m.o.Limits[r.Dataset]; ok && m.taken[r.Dataset] >= limit {
			m.rejects = append(m.rejects, rejected{r, dataset.Reject{Reason: "over_limit",
				Detail: fmt.Sprintf("%s is limited to %d rows", r.Dataset, limit)}})
			continue
		}
		m.taken[r.Dataset]++
		m.count(r)
		kept = append(kept, r)
	}
	m.rows = kept
	if len(kept) == 0 {
		m.notes = append(m.notes, fmt.Sprintf("none of the %d rows could be used; rejected/ has the reason of each", len(m.rejects)))
	}
	return nil
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

func (m *mixer) order(id string) int64 { return dataset.RecordSeed(m.env.Seed, id, "mix/order") }

// refuse returns why a row cannot be trained on, or nothing.
func refuse(r dataset.Instruction, seen map[string]bool) dataset.Reject {
	if r.ID == "" {
		return dataset.Reject{Reason: "no_id"}
	}
	if seen[r.ID] {
		return dataset.Reject{Reason: "duplicate_id", Detail: r.ID}
	}
	seen[r.ID] = true
	if reason := dataset.CheckTurns(r.Messages); reason != nil {
		return *reason
	}
	return dataset.Reject{}
}

// conversation is the row in the two spellings, with what attribution needs.
func conversation(r dataset.Instruction) dataset.Conversation {
	c := dataset.Conversation{ID: r.ID, Dataset: r.Dataset, Title: r.Title, URL: r.URL, Licence: r.Licence,
		Generator: r.Generator, Translator: r.Translator, Messages: r.Messages}
	from := map[string]string{"user": "human", "assistant": "gpt", "system": "system"}
	for _, m := range r.Messages {
		c.Conversations = append(c.Conversations, dataset.Turn{From: from[m.Role], Value: m.Content})
	}
	return c
}
