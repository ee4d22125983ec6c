package main

import (
	"errors"

	"barka/internal/eval"
)

type evalMergeCmd struct {
	Dirs      []string `arg:"" help:"Output directories of the shards, or the directories of single shards in them."`
	OutputDir string   `name:"output-dir" aliases:"output_dir" required:"" help:"Directory of results and details."`
}

func (evalMergeCmd) Help() string {
	return `Writes what one process would have written, to the byte but for the times. Needs neither the model nor the benchmarks.

Example: barka eval merge machine1/evals machine2/evals --output-dir evals`
}

func (c *evalMergeCmd) Run(a *app) error {
	out, err := eval.Merge(a.ctx, c.Dirs, c.OutputDir, a.ui.Progress())
	if out == nil {
		return err
	}
	return errors.Join(printOutcome(a, out), err)
}
