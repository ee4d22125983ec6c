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
	"barka/internal/pipeline"
)

// version changes when the same options would give another output.
const version = 1

// Options are everything that changes what mix writes.
type Options struct {
	Name string `json:"name"` // of the set, in its card
	// Validation is the share of rows that go to the validation set.
	Validation float64 `json:"validation"`
	// Limits bounds the rows taken of a dataset, by its name.
	Limits map[string]int `json:"limits,omitempty"`
	// Tokenizers names the counters of the token table.
	Tokenizers []string `json:"tokenizers,omitempty"`
	// Licence of the set, for the card.
	Licence string `json:"licence"`
	// Drop is a file of rows to leave out by their ids, such as an audit's
	// drop.jsonl. It counts by its content, as an input does.
	Drop string `json:"-"`
}

// Defaults hold back nothing.
func Defaults() Options { return Options{Name: "barka", Licence: "cc-by-sa-4.0"} }

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

// Run mixes all inputs of io.In into io.Out. Rows are ordered by a hash of
// the seed and their ids, so that adding a dataset does not reorder the
// others. counters are the tokenizers named in the options.
func Run(ctx context.Context, o Options, counters map[string]Counter, io pipeline.IO) (*pipeline.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Tokenizers = o.Tokenizers[:0:0]
	for name := range counters {
		o.Tokenizers = append(o.Tokenizers, name)
	}
	slices.Sort(o.Tokenizers)
	inputs := maps.Clone(io.In)
	if o.Drop != "" {
		inputs["--drop"] = o.Drop
	}
	run, err := pipeline.Begin(io.Out, pipeline.Identity{Stage: "mix", Version: version, Options: o, Inputs: inputs, Seed: io.Seed}, io.Restart)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if run.Done() {
		return run.Manifest(), nil
	}
	m := &mixer{o: o, counters: counters, io: io, taken: map[string]int{}, table: map[string]*line{}, sources: map[string]bool{}}
	if err := m.run(ctx, run); err != nil {
		return nil, err
	}
	final := pipeline.Final{Card: m.card(), Counts: map[string]int64{"train": m.train, "validation": m.val}, Tokens: m.tokens()}
	if err := run.Finish(final); err != nil {
		return nil, err
	}
	return run.Manifest(), nil
}

// ValidationName is the sub-set that holds the validation rows.
const ValidationName = "validation"

type mixer struct {
	o          Options
	counters   map[string]Counter
	io         pipeline.IO
	taken      map[string]int
	table      map[string]*line
	sources    map[string]bool // licences, generators, translators, for the card
	train, val int64
	rows       []pipeline.Instruction
	rejects    []rejected
}

type rejected struct {
	row    pipeline.Instruction
	reason pipeline.Reject
}

func (m *mixer) run(ctx context.Context, run *pipeline.Run) error {
	if err := m.read(ctx); err != nil {
		return err
	}
	w, err := pipeline.NewWriter[pipeline.Conversation](run)
	if err != nil {
		return err
	}
	var held *pipeline.Writer[pipeline.Conversation]
	if m.o.Validation > 0 {
		if held, err = pipeline.NewSplit[pipeline.Conversation](run, ValidationName); err != nil {
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
	return float64(pipeline.RecordSeed(m.io.Seed, id, "mix/validation"))/(1<<63) < m.o.Validation
}

// read takes the rows of all inputs and shuffles them.
func (m *mixer) read(ctx context.Context) error {
	names := make([]string, 0, len(m.io.In))
	for n := range m.io.In {
		names = append(names, n)
	}
	slices.Sort(names)
	drop, err := readDrop(ctx, m.o.Drop)
	if err != nil {
		return err
	}
	seen, dropped := map[string]bool{}, 0
	m.io.Progress.Start("mix", -1, "rows")
	defer m.io.Progress.Done()
	for _, n := range names {
		for r, err := range pipeline.Rows[pipeline.Instruction](ctx, m.io.In[n]) {
			if err != nil {
				return err
			}
			m.io.Progress.Add(1)
			reason := m.refuse(r, seen)
			if why, ok := drop[r.ID]; ok && reason.Reason == "" {
				reason = pipeline.Reject{Reason: "dropped", Detail: why}
				dropped++
			}
			if reason.Reason != "" {
				m.rejects = append(m.rejects, rejected{r, reason})
				continue
			}
			m.rows = append(m.rows, r)
		}
	}
	if len(drop) > 0 && dropped == 0 {
		return badinput.Errorf("%s: none of its %d ids is in the sets to mix; was another set audited?", m.o.Drop, len(drop))
	}
	slices.SortFunc(m.rows, func(a, b pipeline.Instruction) int {
		return cmp.Or(cmp.Compare(m.order(a.ID), m.order(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	kept := m.rows[:0]
	for _, r := range m.rows {
		if limit, ok := m.o.Limits[r.Dataset]; ok && m.taken[r.Dataset] >= limit {
			m.rejects = append(m.rejects, rejected{r, pipeline.Reject{Reason: "over_limit", Detail: fmt.Sprintf("%s is limited to %d rows", r.Dataset, limit)}})
			continue
		}
		m.taken[r.Dataset]++
		m.count(r)
		kept = append(kept, r)
	}
	m.rows = kept
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
	for row, err := range pipeline.Rows[map[string]any](ctx, path) {
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

func (m *mixer) order(id string) int64 { return pipeline.RecordSeed(m.io.Seed, id, "mix/order") }

// refuse says why a row cannot be trained on.
func (m *mixer) refuse(r pipeline.Instruction, seen map[string]bool) pipeline.Reject {
	if r.ID == "" {
		return pipeline.Reject{Reason: "no_id"}
	}
	if seen[r.ID] {
		return pipeline.Reject{Reason: "duplicate_id", Detail: r.ID}
	}
	seen[r.ID] = true
	if len(r.Messages) < 2 {
		return pipeline.Reject{Reason: "no_answer"}
	}
	for i, msg := range r.Messages {
		if want := []string{"user", "assistant"}[i%2]; msg.Role != want {
			return pipeline.Reject{Reason: "role_order", Detail: fmt.Sprintf("message %d is of %q, expected %s", i, msg.Role, want)}
		}
		if strings.TrimSpace(msg.Content) == "" {
			return pipeline.Reject{Reason: "empty_message", Detail: fmt.Sprintf("message %d", i)}
		}
	}
	if len(r.Messages)%2 == 1 {
		return pipeline.Reject{Reason: "no_answer", Detail: "the last message is the user's"}
	}
	return pipeline.Reject{}
}

// conversation is the row in the two spellings.
func conversation(r pipeline.Instruction) pipeline.Conversation {
	c := pipeline.Conversation{ID: r.ID, Dataset: r.Dataset, Messages: r.Messages}
	for _, m := range r.Messages {
		from := "human"
		if m.Role == "assistant" {
			from = "gpt"
		}
		c.Conversations = append(c.Conversations, pipeline.Turn{From: from, Value: m.Content})
	}
	return c
}
