package main

import (
	"errors"

	"barka/internal/eval"
)

type evalMergeCmd struct {
	Dirs      []string `arg:"" help:"Output directories of the shards, or directories of single shards in them."`
	OutputDir string   `aliases:"output_dir" required:"" help:"Directory of results and details." placeholder:"DIR"`
}

func (evalMergeCmd) Help() string {
	return `Writes the files that one process would have written; apart from times they are equal to the byte.
Reads neither the model nor the benchmarks.

Example: barka eval merge machine1/evals machine2/evals --output-dir evals`
}

func (c *evalMergeCmd) Run(a *app) error {
	out, err := eval.Merge(a.ctx, c.Dirs, c.OutputDir, a.ui.Progress())
	if out == nil {
		return err
	}
	return errors.Join(printOutcome(a, out), err)
}
