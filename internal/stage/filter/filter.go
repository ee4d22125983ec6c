// Package filter drops instructions that should not be trained on, each with
// the first reason against it. What is a defect depends on the form of a row:
// an answer of one word is right in a choice and wrong in a question about a
// passage. Preset "seed" applies the rules of the BARKA models and nothing else.
package filter

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/rowlog"
)

// version changes when the same options would give another output.
const version = 7

// changed describes the last change of version.
const changed = "lengths count a Chinese, Japanese or Korean sign as three letters, and the list of toxic words, which is " +
	"English and Arabic, is not applied to other languages of these scripts"

// Run filters the instructions in env.In["instructions"]. Rows that repeat one of the datasets
// whose names in env.In begin with dataset.EarlierInput are duplicates. It reads them twice: the verdicts
// of the first reading and what the search for duplicates needs of each row are in files
// of the unfinished directory, so that no texts stay in memory. An interrupted run
// continues the first reading where it stopped.
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
	if o.words, err = withFile(o.Blocklist); err != nil {
		return nil, err
	}
	identity := o
	if o.Blocklist != "" { // what its words are, not where they are
		identity.Blocklist = o.words.digest()
	}
	if o.earlier, err = earlierSets(env); err != nil {
		return nil, err
	}
	return durable.Execute(ctx, env, durable.Identity{Stage: "filter", Version: version, Changed: changed, Options: identity},
		func(run *durable.Run) (final durable.Final, err error) {
			log, err := rowlog.Open(filepath.Join(run.Dir(), "verdicts"))
			if err != nil {
				return final, err
			}
			final, err = o.filter(ctx, run, log, env, total)
			if badinput.Is(err) {
				// The rows are refused. Verdicts about them must not stop a run over others.
				return final, errors.Join(err, log.Remove())
			}
			return final, errors.Join(err, log.Close())
		})
}

// filter judges the rows, finds the duplicates among those that pass, and writes the rows.
func (o Options) filter(ctx context.Context, run *durable.Run, log *rowlog.Log, env durable.Env, total int) (
	final durable.Final, err error) {
	if err := o.judgeAll(ctx, log, env, total); err != nil {
		return final, err
	}
	same, err := o.duplicates(ctx, log, run.Dir(), env.Progress)
	if err != nil {
		return final, err
	}
	defer func() { err = errors.Join(err, same.close()) }()
	return o.write(ctx, run, log, same, env, total)
}

// judgeAll stores the verdict about each row in the log, unless it is there.
func (o Options) judgeAll(ctx context.Context, log *rowlog.Log, env durable.Env, total int) error {
	path := env.In["instructions"]
	env.Progress.Start("filter", int64(rowsBefore(o.earlier)+total), "rows")
	defer env.Progress.Done()
	return rowlog.Fill(ctx, log, rowlog.Input[known]{
		Rows: withEarlier(ctx, o.earlier, path), Size: func(r known) int { return textBytes(r.Instruction) }, Workers: runtime.GOMAXPROCS(0),
		Done: func(n int, skipped bool) {
			if skipped {
				env.Progress.Skip(int64(n))
			} else {
				env.Progress.Add(int64(n))
			}
		},
	}, func(_ int, r known) ([]byte, error) {
		if r.earlier {
			return o.pass(r.Instruction).encode(), nil
		}
		v, err := o.judge(r.Instruction)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return v.encode(), nil
	})
}

// textBytes estimates the memory of a row.
func textBytes(r dataset.Instruction) (n int) {
	for _, m := range r.Messages {
		n += len(m.Content)
	}
	for _, m := range r.MessagesEN {
		n += len(m.Content)
	}
	for _, s := range r.Segments {
		n += len(s.Source) + len(s.Target)
	}
	return n
}

// write reads the rows again and writes each to the dataset or to rejected/.
func (o Options) write(ctx context.Context, run *durable.Run, log *rowlog.Log, same *duplicates, env durable.Env,
	total int) (final durable.Final, err error) {
	w, err := durable.NewWriter[dataset.Instruction](run)
	if err != nil {
		return final, err
	}
	env.Progress.Start("write", int64(total), "rows")
	defer env.Progress.Done()
	kept, normalised := 0, 0
	before := rowsBefore(o.earlier)
	rows := behind(before, dataset.Rows[dataset.Instruction](ctx, env.In["instructions"]))
	err = rowlog.Join(log, rows, func(i int, r dataset.Instruction, record []byte) error {
		if i < before {
			return nil
		}
		env.Progress.Add(1)
		v, err := decode(record)
		if err != nil {
			return err
		}
		reason := v.reject
		if reason.Reason == "" {
			if reason, r.Cluster, err = same.reason(i, v); err != nil {
				return err
			}
		}
		if reason.Reason != "" {
			return w.Reject(r, reason)
		}
		kept++
		var changed bool
		if r, changed = o.Normalise.row(r); changed {
			normalised++
		}
		return w.Write(r)
	})
	if err != nil {
		return final, err
	}
	if normalised > 0 {
		final.Counts = map[string]int64{"normalised": int64(normalised)}
	}
	if kept == 0 && total > 0 {
		final.Notes = append(final.Notes, fmt.Sprintf("none of the %d rows was kept; rejected/ has the reason of each", total))
	}
	return final, nil
}
