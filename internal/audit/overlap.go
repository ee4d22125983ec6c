package audit

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strconv"

	"barka/internal/dataset"
	"barka/internal/overlap"
	"barka/internal/panics"
	"barka/internal/parallel"
	"barka/internal/progress"
)

// Overlap describes what training rows and benchmark questions have in common.
type Overlap struct {
	NGram     int       `json:"ngram"`
	Threshold float64   `json:"threshold"`
	Datasets  []Dataset `json:"datasets"`
	// TooShort counts evaluated questions that are not compared. They have fewer than
	// four words, or fewer than NGram and an answer without words, or consist of
	// common phrases.
	TooShort int `json:"too_short"`
	// Rows holds the training rows to drop.
	Rows []TrainingRow `json:"-"`
}

// Dataset counts the rows of one training set. Touching rows share a sequence
// with a question. Rows to drop contain at least Threshold of a question's
// sequences. Families counts dropped rows by the family of the best-matching
// question.
type Dataset struct {
	Path     string         `json:"path"`
	Rows     int            `json:"rows"`
	Touching int            `json:"touching"`
	Drop     int            `json:"drop"`
	Families map[string]int `json:"families,omitempty"`
}

// TrainingRow is a row to drop, with the question that it holds.
type TrainingRow struct {
	Dataset  string  `json:"dataset"`
	Row      int     `json:"row"` // counted from 1
	ID       string  `json:"id,omitempty"`
	Task     string  `json:"task"`
	Question int     `json:"question"` // row of the task's evaluated split
	Share    float64 `json:"share"`
	Asks     string  `json:"asks"` // the start of the question
}

// overlap compares every training row with every evaluated question.
func (r *Report) overlap(ctx context.Context, o Options, items []item, progress progress.Reporter) error {
	questions := make([]overlap.Question, len(items))
	for i := range items {
		if it := &items[i]; it.test {
			questions[i] = overlap.Question{Text: it.question, Proof: it.proof, Fixed: it.fixed}
		}
	}
	c := &comparison{x: overlap.NewIndex(o.NGram, questions), items: items, threshold: o.Threshold, best: map[int32]TrainingRow{},
		pool: parallel.New(o.Threads)}
	defer c.pool.Close()
	for range c.pool.Workers() {
		c.searchers = append(c.searchers, c.x.NewSearcher())
	}
	out := &Overlap{NGram: o.NGram, Threshold: o.Threshold}
	for i := range items {
		if items[i].test && c.x.Size(i) == 0 {
			out.TooShort++
		}
	}
	for _, path := range o.Training {
		set, err := c.compare(ctx, path, progress)
		if err != nil {
			return err
		}
		out.Datasets = append(out.Datasets, set)
	}
	for first, others := range c.x.Equal() {
		if row, ok := c.best[first]; ok {
			for _, i := range others {
				c.best[i] = row
			}
		}
	}
	for i := range items {
		if row, ok := c.best[int32(i)]; ok {
			items[i].task.Contaminated++
			r.find(&items[i], Contaminated, nil,
				fmt.Sprintf("%.0f %% of its sequences are in row %d of %s", 100*row.Share, row.Row, row.Dataset))
		}
	}
	out.Rows, r.Overlap = c.drop, out
	return nil
}

// comparison is an overlap in progress.
type comparison struct {
	x         *overlap.Index
	items     []item
	threshold float64
	pool      *parallel.Pool
	searchers []*overlap.Searcher
	best      map[int32]TrainingRow // by question, the row that holds the largest share of it
	drop      []TrainingRow
}

// compare compares the rows of a training set. It reads the next batch at the same time.
func (c *comparison) compare(ctx context.Context, path string, progress progress.Reporter) (Dataset, error) {
	set := Dataset{Path: path, Families: map[string]int{}}
	total, err := dataset.Count(path)
	if err != nil {
		return set, err
	}
	progress.Start("compare "+path, int64(total), "rows")
	defer progress.Done()
	for rows, err := range ahead(ctx, path) {
		if err != nil {
			return set, err
		}
		found := make([][]overlap.Match, len(rows))
		c.pool.For(len(rows), 16, func(worker, lo, hi int) {
			for i := lo; i < hi; i++ {
				found[i] = c.searchers[worker].Matches(overlap.Strings(nil, rows[i]))
			}
		})
		for i, row := range rows {
			set.Rows++
			c.judge(&set, row, found[i])
		}
		progress.Add(int64(len(rows)))
	}
	return set, nil
}

// batch is the number of rows that are compared at once.
const batch = 1024

// ahead reads rows in batches, one batch ahead of the consumer.
func ahead(ctx context.Context, path string) iter.Seq2[[]map[string]any, error] {
	type read struct {
		rows []map[string]any
		err  error
	}
	return func(yield func([]map[string]any, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ready := make(chan read, 1)
		var reader panics.Group
		reader.Go(func() {
			defer close(ready)
			send := func(r read) bool {
				select {
				case ready <- r:
					return true
				case <-ctx.Done():
					return false
				}
			}
			var rows []map[string]any
			for row, err := range dataset.Rows[map[string]any](ctx, path) {
				if err != nil {
					send(read{nil, err})
					return
				}
				if rows = append(rows, row); len(rows) == batch {
					if !send(read{rows, nil}) {
						return
					}
					rows = nil
				}
			}
			send(read{rows, nil})
		})
		for r := range ready {
			if !yield(r.rows, r.err) || r.err != nil {
				return
			}
		}
		reader.Wait()
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// judge counts a row. If the row is to be dropped, judge records it with the question of
// which it holds the largest share, the first among equals.
func (c *comparison) judge(set *Dataset, row map[string]any, found []overlap.Match) {
	if len(found) == 0 {
		return
	}
	set.Touching++
	r := TrainingRow{Dataset: set.Path, Row: set.Rows, ID: identifier(row["id"])}
	worst := TrainingRow{}
	family := ""
	for _, m := range found {
		it := &c.items[m.Question]
		r.Share = float64(m.Sequences) / float64(c.x.Size(int(m.Question)))
		if r.Share < c.threshold {
			continue
		}
		r.Task, r.Question, r.Asks = it.task.Task, it.row, start(overlap.Squeeze(it.question))
		if b, known := c.best[m.Question]; !known || r.Share > b.Share {
			c.best[m.Question] = r
		}
		if r.Share > worst.Share {
			worst, family = r, it.task.family
		}
	}
	if worst.Share > 0 {
		set.Drop++
		set.Families[family]++
		c.drop = append(c.drop, worst)
	}
}

// start returns enough of a question to recognise it.
func start(question string) string {
	if runes := []rune(question); len(runes) > 160 {
		return string(runes[:159]) + "…"
	}
	return question
}

// identifier returns a row's id, which is a text or a number, as text.
func identifier(id any) string {
	switch id := id.(type) {
	case string:
		return id
	case int64:
		return strconv.FormatInt(id, 10)
	case float64:
		if id == math.Trunc(id) && math.Abs(id) < 1<<53 {
			return strconv.FormatInt(int64(id), 10)
		}
	}
	return ""
}
