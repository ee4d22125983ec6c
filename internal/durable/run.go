package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Run is the work of a stage on one dataset directory. Its methods are not safe for
// concurrent use; its journals are, and Map starts its own workers.
type Run struct {
	work     *Work
	id       *identity
	manifest *dataset.Manifest // set when done
	replace  bool              // out is a finished directory that will be replaced
	reopened bool              // that directory has the same identity and keeps most of its results
	journal  *Journal
	steps    []*step
	builder  *dataset.Builder
}

// Begin begins or resumes the run that makes the dataset directory out.
//
// If out exists and was made with the same identity, the Run is Done. Interrupted work
// with the same identity is resumed. If out or the unfinished work has another
// identity, Begin returns a badinput error that lists the differences. With restart it
// discards unfinished work instead, and replaces a finished out when the new directory
// is complete. A directory that is not a dataset is never touched. The caller must
// Close the Run.
func Begin(out string, id Identity, restart bool) (*Run, error) {
	if restart {
		return begin(out, id, restartAll)
	}
	return begin(out, id, continueRun)
}

// partLimits bounds the parts of the directories. Tests make them small.
var partLimits = dataset.DefaultLimits

// manner selects what a run does with existing work.
type manner int

const (
	continueRun    manner = iota
	restartAll            // --restart
	reopenFinished        // replace a finished directory of the same identity
)

func begin(out string, id Identity, how manner) (*Run, error) {
	work, err := NewWork(out)
	if err != nil {
		return nil, err
	}
	if err := CheckApart(out, id.Inputs); err != nil {
		return nil, err
	}
	known, err := id.resolve()
	if err != nil {
		return nil, err
	}
	r := &Run{work: work, id: known, builder: dataset.NewBuilder(work.Final(), partLimits)}
	finished, err := r.finished()
	if err != nil {
		return nil, err
	}
	if finished != nil && how == continueRun && !work.Pending() {
		return r, r.accept(finished) // needs no write access
	}
	if err := work.Lock(); err != nil {
		return nil, err
	}
	if err := r.begin(how); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// finished reads the manifest of the directory at out. It returns nil if there is none.
func (r *Run) finished() (*dataset.Manifest, error) {
	entries, err := os.ReadDir(r.work.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, badinput.Errorf("output %s: %w", r.work.out, err)
	case len(entries) == 0:
		return nil, nil
	case !dataset.HasManifest(r.work.out):
		return nil, badinput.Errorf("output %s exists and is not a dataset directory; choose another --out", r.work.out)
	}
	return dataset.ReadManifest(r.work.out)
}

// accept makes the run done if m has its identity. Otherwise it returns an error that
// lists the differences.
func (r *Run) accept(m *dataset.Manifest) error {
	if diffs := differences(identityOf(m), r.id); len(diffs) > 0 {
		return Refusal(r.work.out, "made", diffs, RestartOrElsewhere)
	}
	if err := dataset.CheckFiles(r.work.out, m.Files); err != nil {
		return badinput.Errorf("%w; or make the directory again with --restart", err)
	}
	r.manifest = m
	return nil
}

// begin decides, under the lock, whether the run is done, resumed, refused or new.
func (r *Run) begin(how manner) error {
	finished, err := r.finished() // another process may have finished it just now
	if err != nil {
		return err
	}
	begun, then, err := r.begun()
	if err != nil {
		return err
	}
	if begun != nil && finished != nil && r.swapped(begun, then, finished) {
		if err := r.work.clear(); err != nil {
			return err
		}
		begun = nil
	}
	if how == restartAll {
		return r.start(finished, false)
	}
	if begun != nil {
		diffs := differences(then, r.id)
		switch {
		case len(diffs) == 0 && (finished == nil || begun.Replace):
			return r.resume(begun)
		case finished == nil:
			return Refusal(r.work.partial, "begun", diffs, RestartOrElsewhere)
		}
		// There is a finished directory and abandoned work with another identity.
		// The work is ignored.
	}
	if finished == nil {
		return r.start(nil, false)
	}
	err = r.accept(finished)
	if err == nil && how == reopenFinished {
		r.manifest = nil
		return r.start(finished, true)
	}
	if begun == nil {
		err = errors.Join(err, r.work.Remove())
	}
	if err == nil {
		err = r.Close()
	}
	return err
}

// begun reads identity.json. It returns nil if no work has begun.
func (r *Run) begun() (*Begun, *identity, error) {
	b, err := r.work.Begun()
	if b == nil || err != nil {
		return nil, nil, err
	}
	var id identity
	if err := json.Unmarshal(b.Identity, &id); err != nil {
		return nil, nil, badinput.Errorf("%s: identity.json: %w; remove the directory to begin again", r.work.partial, err)
	}
	return b, &id, nil
}

// swapped reports whether the finished directory is the result of the begun work. Then
// only the cleanup after the last rename was interrupted.
func (r *Run) swapped(begun *Begun, then *identity, finished *dataset.Manifest) bool {
	if len(differences(then, identityOf(finished))) > 0 {
		return false
	}
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(r.work.partial, name))
		return err == nil
	}
	return !there(finalName) && (!begun.Replace || there(oldName) || !there(journalName))
}

// start begins new work, which will replace finished if that is not nil.
func (r *Run) start(finished *dataset.Manifest, reopened bool) error {
	if finished != nil {
		if err := Foreign(r.work.out, finished.Lists); err != nil {
			return err
		}
	}
	if err := r.work.clear(); err != nil {
		return err
	}
	if err := r.work.start(r.id, finished != nil, reopened); err != nil {
		return err
	}
	return r.resume(&Begun{Replace: finished != nil, Reopened: reopened})
}

// resume opens the journal and removes what an interrupted Finish left behind.
func (r *Run) resume(begun *Begun) error {
	r.replace, r.reopened = begun.Replace, begun.Reopened
	for _, name := range []string{finalName, oldName} {
		if err := os.RemoveAll(filepath.Join(r.work.partial, name)); err != nil {
			return atomicfile.Explain(r.work.partial, err)
		}
	}
	var err error
	r.journal, err = openJournal(filepath.Join(r.work.partial, journalName))
	return atomicfile.Explain(r.work.partial, err)
}

// Done reports whether the directory is finished, by an earlier run or by
// Finish.
func (r *Run) Done() bool { return r.manifest != nil }

// Manifest describes the finished directory. It is nil while the run is not Done.
func (r *Run) Manifest() *dataset.Manifest { return r.manifest }

// Dir returns a directory for files of the stage, such as caches. It survives
// interruptions and is removed by Finish. Names that begin with rows- and those in the
// package's documentation are reserved.
func (r *Run) Dir() string { return r.work.partial }

// Journal returns the stage's own store of finished work. Map has others.
func (r *Run) Journal() *Journal {
	if r.journal == nil {
		return &Journal{path: filepath.Join(r.work.partial, journalName), err: errJournalClosed}
	}
	return r.journal
}

// Close makes the journals durable and releases the directory. Another Begin can resume
// unfinished work. Closing again does nothing.
func (r *Run) Close() error {
	var errs []error
	for _, j := range r.journals() {
		errs = append(errs, j.close())
	}
	r.builder.Close()
	return errors.Join(append(errs, r.work.Close())...)
}

// journals returns the open journals: the stage's own and those of its Maps.
func (r *Run) journals() (all []*Journal) {
	if r.journal != nil {
		all = append(all, r.journal)
	}
	for _, s := range r.steps {
		all = append(all, s.journal)
	}
	return all
}

// failure returns the errors of the journals' syncs in the background.
func (r *Run) failure() error {
	var errs []error
	for _, j := range r.journals() {
		errs = append(errs, j.failure())
	}
	return errors.Join(errs...)
}

// writable returns an error if the Run is done or closed.
func (r *Run) writable() error {
	if r.work.lock == nil || r.manifest != nil {
		return fmt.Errorf("durable: the run of %s is finished or closed", r.work.out)
	}
	return nil
}
