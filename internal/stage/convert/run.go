package convert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/diskmap"
	"barka/internal/durable"
	"barka/internal/progress"
)

// output takes what a converter makes.
type output interface {
	Write(dataset.Instruction) error
	Reject(row any, why dataset.Reject) error
}

// converter writes the instructions of one run, block by block.
type converter struct {
	o         Options
	b         benchmark
	templates *Templates
	data      string
	seed      int64
	labels    []string         // PIQA's, one per row
	journal   *durable.Journal // finished blocks; nil in a plan
	asker     *asker           // nil if no model is asked
	w         output

	seen   *diskmap.Map // ids
	script script
	counts map[string]int64
	in     int64 // questions read: RACE has several per row
	out    int
	calls  int // that a plan counts

	number  int // of the block
	read    int // rows of the block
	pending []*entry
}

// blockRows is how many rows are worked on, and journaled, together. The examples of a
// few-shot row are of its block.
const blockRows = 1024

// entry is a question of the block.
type entry struct {
	row    *row
	item   item
	pieces []piece
	id     string
	reject *dataset.Reject
	out    dataset.Instruction
	calls  int // that a plan counts
	counts []string
}

// block is the result of a block, as it is journaled.
type block struct {
	Read     int                   `json:"read"` // rows of the source
	Rows     []dataset.Instruction `json:"rows"`
	Rejected []rejected            `json:"rejected"`
	Counts   map[string]int64      `json:"counts"`
}

type rejected struct {
	Row    json.RawMessage `json:"row"`
	Reject dataset.Reject  `json:"reject"`
}

// final are the counts, and what a user should know of them.
func (c *converter) final() durable.Final {
	f := durable.Final{Counts: map[string]int64{"in": c.in}}
	maps.Copy(f.Counts, c.counts)
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

// full reports whether the limit is reached.
func (c *converter) full() bool { return c.o.Limit > 0 && c.out >= c.o.Limit }

// all reads all files. The ids of their rows are in files in dir.
func (c *converter) all(ctx context.Context, dir string, files []string, reporter progress.Reporter) (err error) {
	if c.seen, err = diskmap.Open(filepath.Join(dir, "ids-"), diskmap.Options{}); err != nil {
		return atomicfile.Explain(dir, err)
	}
	defer func() { err = errors.Join(err, c.seen.Close()) }()
	return c.files(ctx, files, reporter)
}

// files reads the rows and writes their instructions. Rows of journaled blocks are passed
// over.
func (c *converter) files(ctx context.Context, files []string, reporter progress.Reporter) error {
	rows, skip := 0, 0
	for _, file := range files {
		name := relative(c.data, file)
		for r, err := range read(file, c.b) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && skip == 0 && c.read == 0 {
				skip, err = c.restore()
			}
			if err != nil {
				return err
			}
			if skip > 0 {
				skip--
				rows++
				reporter.Skip(1)
				continue
			}
			if c.full() {
				return c.flush(ctx, reporter)
			}
			r.place = name + strings.TrimPrefix(r.where, file)
			if err := c.addLabel(r, rows); err != nil {
				return err
			}
			if err := c.row(r); err != nil {
				return err
			}
			rows++
			if c.read++; c.read == blockRows {
				if err := c.flush(ctx, reporter); err != nil {
					return err
				}
			}
		}
	}
	if rows == 0 {
		return badinput.Errorf("%s: no rows of %s", shorten(files), c.o.Benchmark)
	}
	if c.labels != nil && rows != len(c.labels) {
		return badinput.Errorf("%s has %d rows, but there are %d labels: the two files are not of one split",
			shorten(files), rows, len(c.labels))
	}
	return c.flush(ctx, reporter)
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

// row adds the questions of a row to the block.
func (c *converter) row(r *row) error {
	items := c.b.items(r)
	if r.err != nil {
		return badinput.Errorf("%s: %w; columns there: %s; expected %s", r.where, r.err, r.columns(), c.b.layouts)
	}
	for i, it := range items {
		if c.full() {
			return nil
		}
		e, err := c.entry(r, it)
		if err != nil {
			return err
		}
		if e.reject != nil {
			if len(items) > 1 {
				e.reject.Detail = fmt.Sprintf("question %d: %s", i+1, e.reject.Detail)
			}
			e.reject.Detail = strings.TrimSuffix(r.place+": "+e.reject.Detail, ": ")
		} else {
			c.out++
		}
		c.in++
		c.pending = append(c.pending, e)
	}
	return nil
}

// entry cleans an item, or says what is wrong with it.
func (c *converter) entry(r *row, it item) (*entry, error) {
	e := &entry{row: r, pieces: it.pieces()}
	it.tidy()
	if e.reject = it.check(); e.reject != nil {
		return e, nil
	}
	e.id = it.id(c.o.Benchmark)
	first, err := c.seen.Add(dataset.KeyOf(e.id), diskmap.Value{})
	if err != nil {
		return nil, err
	}
	if !first {
		e.reject = &dataset.Reject{Reason: "duplicate", Detail: e.id}
		return e, nil
	}
	if c.b.shuffle {
		it.shuffle(dataset.RecordSeed(c.seed, e.id, "convert"))
	}
	e.item = it
	return e, nil
}

// flush works on the block, journals it and writes it. A last block that is not full is
// not journaled: it takes no longer than reading it.
func (c *converter) flush(ctx context.Context, reporter progress.Reporter) error {
	workers := runtime.GOMAXPROCS(0)
	if c.asker != nil {
		workers = max(c.o.Concurrency, 1)
	}
	err := each(ctx, len(c.pending), workers, func(ctx context.Context, i int) error {
		defer reporter.Add(1)
		if e := c.pending[i]; e.reject == nil {
			return c.layOut(ctx, e)
		}
		return nil
	})
	if err == nil && c.o.FewShot > 0 {
		err = c.addExamples()
	}
	if err != nil {
		return err
	}
	b := &block{Read: c.read, Counts: map[string]int64{}}
	for _, e := range c.pending {
		c.calls += e.calls
		for _, name := range e.counts {
			b.Counts[name]++
		}
		if e.reject == nil {
			b.Rows = append(b.Rows, e.out)
			continue
		}
		text, err := json.Marshal(e.row.fields)
		if err != nil {
			return err
		}
		b.Rejected = append(b.Rejected, rejected{text, *e.reject})
	}
	if c.journal != nil && c.read == blockRows {
		if err := c.journal.Put(c.key(), b); err != nil {
			return err
		}
	}
	c.pending, c.read, c.number = nil, 0, c.number+1
	return c.write(b)
}

func (c *converter) key() string { return fmt.Sprintf("block/%d", c.number) }

// restore writes the next block if it is journaled, and returns how many rows it read.
func (c *converter) restore() (rows int, err error) {
	if c.journal == nil {
		return 0, nil
	}
	var b block
	if ok, err := c.journal.Get(c.key(), &b); !ok || err != nil {
		return 0, err
	}
	for _, r := range b.Rows {
		if err := c.seen.Put(dataset.KeyOf(r.ID), diskmap.Value{}); err != nil {
			return 0, err
		}
	}
	c.out += len(b.Rows)
	c.in += int64(len(b.Rows) + len(b.Rejected))
	c.number++
	return b.Read, c.write(&b)
}

// write writes the rows of a block.
func (c *converter) write(b *block) error {
	for name, n := range b.Counts {
		c.counts[name] += n
	}
	for _, r := range b.Rows {
		c.script.add(r)
		if err := c.w.Write(r); err != nil {
			return err
		}
	}
	for _, r := range b.Rejected {
		if err := c.w.Reject(r.Row, r.Reject); err != nil {
			return err
		}
	}
	return nil
}

// layOut makes the instruction of an entry.
func (c *converter) layOut(ctx context.Context, e *entry) error {
	e.out = dataset.Instruction{ID: e.id, Dataset: c.o.Dataset, Form: e.item.form(c.b), PassageID: e.item.passageID(),
		Title: e.item.title, Language: c.o.Language, Licence: cmp.Or(c.o.Licence, e.item.licence, c.b.licence), Messages: e.item.turns}
	if len(e.item.turns) > 0 {
		return nil
	}
	seed := dataset.RecordSeed(c.seed, e.id, "convert/template")
	l, wording := c.templates.draw(seed, e.item.ask, c.o.FirstTemplate)
	rewritten := false
	if c.o.Rewrite && c.b.rewritable() && (e.item.ask == askGap || e.item.ask == askOpen) {
		question, err := c.ask(ctx, e, rewrite)
		if err != nil {
			return err
		}
		if rewritten = question != ""; rewritten {
			e.item.question, e.item.ask, wording = question, "", ""
		}
	}
	reason := ""
	if c.o.Justify && c.b.kind() != kindAnswer {
		var err error
		if reason, err = c.ask(ctx, e, justify); err != nil {
			return err
		}
	}
	if err := c.templates.lay(e, l, wording, c.o.Answer, reason); err != nil {
		return badinput.Errorf("%s: %w", e.row.where, err)
	}
	v := verifier{row: e.row, clean: c.b.clean}
	return v.check(e.pieces, e.item, e.out.Messages, e.out.Template, rewritten)
}
