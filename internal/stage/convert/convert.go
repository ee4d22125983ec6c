// Package convert turns the training sets of public benchmarks, in the layouts
// in which they are published, into instructions. No language model takes
// part: questions and options are laid out by fixed templates and the answers
// are the sets' own, so that options stay whole, in order and word for word.
package convert

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/prose"
)

// version changes when the same options would give another output.
const version = 2

// Options are everything that changes what convert writes.
type Options struct {
	// Benchmark says which set, and so which layouts, the input has.
	Benchmark string `json:"benchmark"`
	// Dataset names the rows; "" is the benchmark's name.
	Dataset string `json:"dataset,omitempty"`
	// Split is read where the input is a directory of several.
	Split string `json:"split"`
	// Answer is AnswerLabel or AnswerText.
	Answer string `json:"answer"`
	// Licence replaces the benchmark's own, for the rows.
	Licence string `json:"licence,omitempty"`
	// Language is the code of the rows' language, such as arb_Arab. The
	// benchmarks are English, as are the words that convert adds to them;
	// instruction sets may be of any language.
	Language string `json:"language"`
	// Limit, if positive, is the most rows written.
	Limit int `json:"limit,omitempty"`
}

// Answers to multiple-choice questions.
const (
	AnswerLabel = "label" // names the option, then repeats its text
	AnswerText  = "text"  // the option's text alone
)

// Defaults are the settings of the BARKA models.
func Defaults() Options { return Options{Split: "train", Answer: AnswerLabel, Language: english} }

const english = "eng_Latn"

// Benchmarks lists the names that Options.Benchmark can have.
func Benchmarks() []string {
	var names []string
	for name := range benchmarks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	b, ok := benchmarks[o.Benchmark]
	if !ok {
		return badinput.Errorf("convert: benchmark %q is not known; those known: %s", o.Benchmark, strings.Join(Benchmarks(), ", "))
	}
	switch {
	case splitWords[o.Split] == nil:
		return badinput.Errorf("convert: split is %q, expected train, validation or test", o.Split)
	case o.Answer != AnswerLabel && o.Answer != AnswerText:
		return badinput.Errorf("convert: answer is %q, expected %s or %s", o.Answer, AnswerLabel, AnswerText)
	case !prose.IsLanguage(o.Language):
		return badinput.Errorf("convert: language is %q, expected a code such as eng_Latn or arb_Arab", o.Language)
	case o.Language != english && b.form != dataset.FormInstruction:
		return badinput.Errorf("convert: language is %s, but convert asks the questions of %s in English; only "+
			"instruction sets (alpaca, sharegpt) may be in another language", o.Language, o.Benchmark)
	case o.Limit < 0:
		return badinput.Errorf("convert: limit is %d, expected 0 (all) or more", o.Limit)
	}
	return nil
}

// Run converts env.In["data"]: a file, or a directory in the layout of the
// benchmark's own archive or of its repository on the hub. Where labels lie in
// a file of their own (PIQA), that is env.In["labels"], by default the file of
// that name beside the data.
func Run(ctx context.Context, o Options, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	b := benchmarks[o.Benchmark]
	files, err := find(env.In["data"], b, o.Split)
	if err != nil {
		return nil, err
	}
	inputs, err := withLabels(env.In, b, files)
	if err != nil {
		return nil, err
	}
	if o.Dataset == "" {
		o.Dataset = o.Benchmark
	}
	c := &converter{o: o, b: b, data: env.In["data"], seed: env.Seed, seen: map[string]bool{}}
	id := durable.Identity{Stage: "convert", Version: version, Options: o, Inputs: inputs}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (final durable.Final, err error) {
		if c.w, err = durable.NewWriter[dataset.Instruction](run); err != nil {
			return final, err
		}
		if c.labels, err = readLabels(inputs["labels"]); err != nil {
			return final, err
		}
		reporter := progress.OrSilent(env.Progress)
		reporter.Start("convert "+o.Benchmark, -1, "rows")
		defer reporter.Done()
		if err := c.files(ctx, files, reporter); err != nil {
			return final, err
		}
		if err := c.script.check(o.Language, c.data); err != nil {
			return final, err
		}
		return c.final(), nil
	})
}

// output takes what a converter makes.
type output interface {
	Write(dataset.Instruction) error
	Reject(row any, why dataset.Reject) error
}

// converter writes the instructions of one run.
type converter struct {
	o      Options
	b      benchmark
	data   string
	seed   int64
	labels []string // PIQA's, one per row
	w      output
	seen   map[string]bool
	script script
	in     int64 // questions read: RACE has several per row
	out    int
}

// final are the counts, and what a user should know of them.
func (c *converter) final() durable.Final {
	f := durable.Final{Counts: map[string]int64{"in": c.in}}
	if n := c.script.other; n > 0 {
		f.Counts["other_script"] = n
		f.Notes = append(f.Notes, fmt.Sprintf("%d of %d rows are mostly in another script than %s has; they are kept, "+
			"and the default filter drops them", n, c.out, c.o.Language))
	}
	if c.out == 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("none of the %d rows could be used; rejected/ has the reason of each", c.in))
	}
	return f
}

func (c *converter) files(ctx context.Context, files []string, reporter progress.Reporter) error {
	rows := 0
	for _, file := range files {
		name := relative(c.data, file)
		for r, err := range read(file, c.b) {
			if err == nil {
				r.place = name + strings.TrimPrefix(r.where, file)
				err = ctx.Err()
			}
			if err == nil {
				err = c.addLabel(r, rows)
			}
			if err == nil {
				err = c.row(r)
			}
			if err != nil {
				return err
			}
			rows++
			reporter.Add(1)
			if c.o.Limit > 0 && c.out >= c.o.Limit {
				return nil
			}
		}
	}
	if rows == 0 {
		return badinput.Errorf("%s: no rows of %s", strings.Join(files, ", "), c.o.Benchmark)
	}
	if c.labels != nil && rows != len(c.labels) {
		return badinput.Errorf("%s has %d rows, but there are %d labels: the two files are not of one split",
			strings.Join(files, ", "), rows, len(c.labels))
	}
	return nil
}

// relative is a file's name below the data: what the output holds must not
// depend on where the data lie.
func relative(data, file string) string {
	rel, err := filepath.Rel(data, file)
	if err != nil || rel == "." {
		rel = filepath.Base(file)
	}
	return filepath.ToSlash(rel)
}

// addLabel gives a row its label from the separate file.
func (c *converter) addLabel(r *row, i int) error {
	if c.labels == nil {
		return nil
	}
	if i >= len(c.labels) {
		return badinput.Errorf("%s: there are only %d labels: the two files are not of one split", r.where, len(c.labels))
	}
	r.fields["label"] = c.labels[i]
	return nil
}

// row writes the instructions of a row.
func (c *converter) row(r *row) error {
	items := c.b.items(r)
	if r.err != nil {
		return badinput.Errorf("%s: %w; columns there: %s; expected %s", r.where, r.err, r.columns(), c.b.layouts)
	}
	for i, it := range items {
		if c.o.Limit > 0 && c.out >= c.o.Limit {
			return nil
		}
		c.in++
		out, reject := c.instruction(it)
		if reject != nil {
			if len(items) > 1 {
				reject.Detail = fmt.Sprintf("question %d: %s", i+1, reject.Detail)
			}
			reject.Detail = strings.TrimSuffix(r.place+": "+reject.Detail, ": ")
			if err := c.w.Reject(r.fields, *reject); err != nil {
				return err
			}
			continue
		}
		c.out++
		c.script.add(out)
		if err := c.w.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// instruction lays an item out, or says what is wrong with it.
func (c *converter) instruction(it item) (dataset.Instruction, *dataset.Reject) {
	it.tidy()
	if reject := it.check(); reject != nil {
		return dataset.Instruction{}, reject
	}
	id := it.id(c.o.Benchmark)
	if c.seen[id] {
		return dataset.Instruction{}, &dataset.Reject{Reason: "duplicate", Detail: id}
	}
	c.seen[id] = true
	if c.b.shuffle {
		it.shuffle(dataset.RecordSeed(c.seed, id, "convert"))
	}
	licence := cmp.Or(c.o.Licence, it.licence, c.b.licence)
	return dataset.Instruction{
		ID: id, Dataset: c.o.Dataset, Form: it.form(c.b), Title: it.title, Licence: licence, Language: c.o.Language,
		Messages: it.messages(c.b.style, c.o.Answer),
	}, nil
}
