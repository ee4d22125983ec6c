// Package filter drops instructions that should not be trained on, each with
// the first reason against it. What is a defect depends on the form of a row:
// an answer of one word is right in a choice and wrong in a question about a
// passage. Preset "seed" applies the rules of the BARKA models and nothing else.
package filter

import (
	"context"
	"fmt"

	"barka/internal/dataset"
	"barka/internal/durable"
)

// version changes when the same options would give another output.
const version = 2

// Run filters the instructions in env.In["instructions"].
func Run(ctx context.Context, o Options, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	path := env.In["instructions"]
	if err := dataset.Require(path, dataset.Instructions); err != nil {
		return nil, err
	}
	total, err := dataset.CountSome(path)
	if err != nil {
		return nil, err
	}
	return durable.Execute(ctx, env, durable.Identity{Stage: "filter", Version: version, Options: o},
		func(run *durable.Run) (durable.Final, error) {
			return o.filter(ctx, run, env, total)
		})
}

// filter writes the rows of a run.
func (o Options) filter(ctx context.Context, run *durable.Run, env durable.Env, total int) (final durable.Final, err error) {
	w, err := durable.NewWriter[dataset.Instruction](run)
	if err != nil {
		return final, err
	}
	env.Progress.Start("filter", int64(total), "rows")
	defer env.Progress.Done()
	f := &filter{o: o, seen: map[[16]byte]string{}}
	for r, err := range dataset.Rows[dataset.Instruction](ctx, env.In["instructions"]) {
		if err != nil {
			return final, err
		}
		env.Progress.Add(1)
		reason, err := f.check(r)
		if err != nil {
			return final, fmt.Errorf("%s: %w", env.In["instructions"], err)
		}
		if reason.Reason != "" {
			err = w.Reject(r, reason)
		} else {
			f.kept++
			err = w.Write(r)
		}
		if err != nil {
			return final, err
		}
	}
	if f.kept == 0 && total > 0 {
		final.Notes = append(final.Notes, fmt.Sprintf("none of the %d rows was kept; rejected/ has the reason of each", total))
	}
	return final, nil
}
