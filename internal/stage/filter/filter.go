// Package filter drops instructions that should not be trained on, each with
// the first reason against it. What is a defect depends on the form of a row:
// an answer of one word is right in a choice and wrong in a question about a
// passage. Preset "seed" applies the rules of the BARKA models and nothing else.
package filter

import (
	"context"
	"fmt"

	"barka/internal/pipeline"
)

// version changes when the same options would give another output.
const version = 2

// Run filters the instructions in io.In["instructions"].
func Run(ctx context.Context, o Options, io pipeline.IO) (*pipeline.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	path := io.In["instructions"]
	if err := pipeline.Require(path, pipeline.Instructions); err != nil {
		return nil, err
	}
	total, err := pipeline.CountSome(path)
	if err != nil {
		return nil, err
	}
	run, err := pipeline.Begin(io.Out, pipeline.Identity{Stage: "filter", Version: version, Options: o, Inputs: io.In, Seed: io.Seed}, io.Restart)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if run.Done() {
		return run.Manifest(), nil
	}
	w, err := pipeline.NewWriter[pipeline.Instruction](run)
	if err != nil {
		return nil, err
	}
	io.Progress.Start("filter", int64(total), "rows")
	defer io.Progress.Done()
	f := &filter{o: o, seen: map[string]string{}}
	for r, err := range pipeline.Rows[pipeline.Instruction](ctx, path) {
		if err != nil {
			return nil, err
		}
		io.Progress.Add(1)
		reason, err := f.check(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if reason.Reason != "" {
			err = w.Reject(r, reason)
		} else {
			f.kept++
			err = w.Write(r)
		}
		if err != nil {
			return nil, err
		}
	}
	var final pipeline.Final
	if f.kept == 0 && total > 0 {
		final.Notes = append(final.Notes, fmt.Sprintf("none of the %d rows was kept; rejected/ has the reason of each", total))
	}
	if err := run.Finish(final); err != nil {
		return nil, err
	}
	return run.Manifest(), nil
}
