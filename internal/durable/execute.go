package durable

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Execute runs a stage. It begins or resumes the run that makes env.Out, calls work
// unless the directory is finished, and moves the directory into place. An identity
// without inputs gets those of env; the seed is that of env. ctx ends the reading of
// inputs for their digests.
func Execute(ctx context.Context, env Env, id Identity, work func(*Run) (Final, error)) (*dataset.Manifest, error) {
	run, err := Begin(env.Out, id.of(ctx, env), env.Restart)
	if err != nil {
		return nil, err
	}
	return run.Execute(work)
}

// ExecuteAgain is Execute for a stage whose records may fail. With env.Retry it
// reopens a finished directory that has failed records; see Reopen.
func ExecuteAgain(ctx context.Context, env Env, id Identity, failed func(*dataset.Manifest) bool,
	work func(*Run) (Final, error)) (*dataset.Manifest, error) {
	id = id.of(ctx, env)
	run, err := Begin(env.Out, id, env.Restart)
	if err == nil && env.Retry && run.Done() && failed(run.Manifest()) {
		run, err = Reopen(env.Out, id)
	}
	if err != nil {
		return nil, err
	}
	return run.Execute(work)
}

// Execute calls work, unless the run is done, finishes the directory and closes the
// run.
func (r *Run) Execute(work func(*Run) (Final, error)) (*dataset.Manifest, error) {
	defer r.Close()
	if r.Done() {
		return r.Manifest(), nil
	}
	final, err := work(r)
	if err != nil {
		return nil, r.discardEmpty(err)
	}
	if err := r.Finish(final); err != nil {
		return nil, err
	}
	return r.Manifest(), nil
}

// of returns the identity with the inputs and the seed of the environment.
func (id Identity) of(ctx context.Context, env Env) Identity {
	id.ctx = ctx
	if id.Inputs == nil {
		id.Inputs = env.In
	}
	id.Seed = env.Seed
	return id
}

// discardEmpty removes the partial directory after an error about the input or the
// options, unless it holds journaled work or files of the stage. If it stayed, the
// same output could not be made with other inputs or options without --restart. It
// returns err.
func (r *Run) discardEmpty(err error) error {
	if !badinput.Is(err) {
		return err
	}
	for _, j := range r.journals() {
		if j.Len() > 0 {
			return err
		}
	}
	entries, rerr := os.ReadDir(r.work.partial)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return err
		}
	}
	return errors.Join(err, r.work.Remove())
}

// ours reports whether a name in the partial directory is reserved for this package;
// see Run.Dir.
func ours(name string) bool {
	return slices.Contains([]string{identityName, journalName, finalName, oldName}, name) ||
		strings.HasPrefix(name, lockName) || strings.HasPrefix(name, "rows-")
}
