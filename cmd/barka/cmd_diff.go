package main

import (
	"barka/internal/look/rowdiff"
)

type diffCmd struct {
	A string `arg:"" help:"First dataset: a directory, or a .parquet or .jsonl file."`
	B string `arg:"" help:"Second dataset."`

	Show int `help:"Rows to print with the words that differ." default:"10" placeholder:"N"`
	layoutFlags
}

func (diffCmd) Help() string {
	return `Compares two runs of a stage, or any two datasets, by the ids of their rows: first the settings that
differ, then how many rows are the same, changed, on one side only, or kept here and rejected there,
and then the first rows that differ, word by word.

The exit code is 0 if the rows are the same and 4 if they differ.

Example: what other thresholds do.

  barka filter --in data/translated --out data/strict --min-answer-words 8
  barka diff data/clean data/strict`
}

// differentError ends a comparison that found a difference.
type differentError struct{}

func (differentError) Error() string { return "the rows differ" }

func (c *diffCmd) Run(a *app) error {
	if c.Show < 0 {
		return usagef("diff: --show must not be negative")
	}
	d, err := rowdiff.Compare(a.ctx, c.A, c.B, c.Show)
	if err != nil {
		return err
	}
	if a.JSON {
		err = a.ui.Print("", d)
	} else {
		err = a.ui.Styled(d.Render(c.style(a)))
	}
	if err == nil && d.Different() {
		err = differentError{}
	}
	return err
}
