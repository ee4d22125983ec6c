package main

import (
	"errors"
	"fmt"

	"barka/internal/atomicfile"
	"barka/internal/compare"
	"barka/internal/jsonl"
)

type compareCmd struct {
	A string `arg:"" help:"First evaluation, such as the base model's: an --output-dir, a results_*.json or a directory of details."`
	B string `arg:"" help:"Second evaluation, such as the tuned model's."`

	Common    bool   `help:"If the questions differ, compare those in both."`
	Tasks     bool   `help:"Show every task on a terminal, not only the leaderboard's rows."`
	Markdown  bool   `help:"Write Markdown on a terminal too."`
	Published bool   `help:"Add columns with the published figures of the fine-tuned Gemma-2-9b-it."`
	HTML      string `name:"html" help:"Write a self-contained HTML page." placeholder:"FILE"`
	Flips     string `help:"Write the questions that only one answered correctly, as JSON lines." placeholder:"FILE"`
	Show      int    `help:"Print this many of those questions." placeholder:"N"`
	Resamples int    `help:"Bootstrap resamples." default:"10000"`
}

func (compareCmd) Help() string {
	return `Pairs the answers of two evaluations question by question. For every task, for the rows of the
leaderboard and for their average it prints how much better B is than A, the 95 % interval, and the
probability of such a difference between equally good models.

It reads the files of barka eval and those of lighteval of 2024. If a directory holds several
evaluations, it takes the newest.

Example:

  barka compare evals/base evals/tuned --html compare.html --flips flips.jsonl --show 3`
}

// pageFlips is the largest number of flipped questions on a page.
const pageFlips = 24

func (c *compareCmd) Run(a *app) error {
	if c.Show < 0 || c.Resamples < 1 {
		return usagef("compare: --show is %d and --resamples %d, expected at least 0 and 1", c.Show, c.Resamples)
	}
	runA, err := compare.Open(c.A)
	if err != nil {
		return err
	}
	runB, err := compare.Open(c.B)
	if err != nil {
		return err
	}
	flips := &flipSink{keep: max(c.Show, pageFlips)}
	if c.Flips != "" {
		if flips.file, err = jsonl.Create(c.Flips); err != nil {
			return fmt.Errorf("flips: %w", err)
		}
	}
	result, err := compare.Compare(runA, runB, compare.Options{Common: c.Common, Resamples: c.Resamples, Seed: a.Seed, Flips: flips.add})
	if err := flips.close(err); err != nil {
		return err
	}
	if c.HTML != "" {
		page, err := result.HTML(flips.some(pageFlips), c.Published)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(c.HTML, []byte(page)); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	return c.print(a, result, flips)
}

func (c *compareCmd) print(a *app, r *compare.Comparison, flips *flipSink) error {
	shown := flips.some(c.Show)
	text := r.Markdown(c.Published)
	if a.ui.Terminal() && !c.Markdown {
		if err := c.tables(a, r); err != nil {
			return err
		}
		text = ""
	}
	for _, f := range shown {
		text += "\n" + f.Text()
	}
	if text != "" {
		if err := a.ui.Print(text, r.Record(shown)); err != nil {
			return err
		}
	}
	if c.Flips != "" {
		a.ui.Infof("%d flipped questions in %s", r.All.OnlyA+r.All.OnlyB, c.Flips)
	}
	if c.HTML != "" {
		a.ui.Infof("page in %s", c.HTML)
	}
	return nil
}

// tables shows the comparison on a terminal.
func (c *compareCmd) tables(a *app, r *compare.Comparison) error {
	fmt.Fprintf(a.stdout, "A: %s (%s)\nB: %s (%s)\n", r.A.Model, r.A.Time, r.B.Model, r.B.Time)
	for _, t := range r.Tables(c.Tasks, c.Published) {
		if err := a.ui.Table(t.Headers, t.Rows); err != nil {
			return err
		}
	}
	if p, ok := compare.PublishedFor(r.Leaderboard); ok && c.Published {
		a.ui.Infof("%s", p.Remark())
	}
	a.ui.Infof("%s", r.Legend())
	for _, n := range r.Notes {
		a.ui.Infof("%s", n)
	}
	return nil
}

// flipSink writes flipped questions as they are found, and keeps the first of each
// task for the page and the terminal.
type flipSink struct {
	file    *jsonl.Writer
	perTask [][]compare.Flip
	keep    int
}

func (s *flipSink) add(f compare.Flip) error {
	last := len(s.perTask) - 1
	if last < 0 || s.perTask[last][0].Task != f.Task {
		s.perTask = append(s.perTask, []compare.Flip{f})
	} else if len(s.perTask[last]) < s.keep {
		s.perTask[last] = append(s.perTask[last], f)
	}
	if s.file == nil {
		return nil
	}
	return s.file.Write(f)
}

// close publishes the file; after an error it removes it.
func (s *flipSink) close(err error) error {
	switch {
	case s.file == nil:
		return err
	case err != nil:
		return errors.Join(err, s.file.Discard())
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("flips: %w", err)
	}
	return nil
}

// some picks n flips, from every task in turn.
func (s *flipSink) some(n int) []compare.Flip {
	var out []compare.Flip
	for i := 0; i < s.keep; i++ {
		for _, flips := range s.perTask {
			if i < len(flips) && len(out) < n {
				out = append(out, flips[i])
			}
		}
	}
	return out
}
