package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// Run is a stage's work towards one dataset directory. Its methods are not
// safe for concurrent use; its journals and Map's own workers are.
type Run struct {
	work     *Work
	id       *identity
	manifest *Manifest // set when done
	replace  bool      // a finished directory stands at out and is to go
	reopened bool      // that directory has the same identity and keeps most of its results
	journal  *Journal
	steps    []*step
	tables   []*split
	rejects  *rejectTable
}

// Begin starts or continues the run towards the dataset directory out.
//
// If out is there and was made with the same identity, the Run is Done. If work
// towards it with the same identity was interrupted, that work is continued. If
// out or the unfinished work has another identity, the error (bad input) names
// what differs, unless restart is set: then unfinished work is thrown away, and
// a finished out is replaced when the new one is whole. Restart never touches a
// directory that is not a dataset. The caller must Close the Run.
func Begin(out string, id Identity, restart bool) (*Run, error) {
	if restart {
		return begin(out, id, restartAll)
	}
	return begin(out, id, continueRun)
}

// manner is how a run begins where there is work already.
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
	r := &Run{work: work, id: known}
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

// finished reads the manifest of what stands at out; nil when there is nothing.
func (r *Run) finished() (*Manifest, error) {
	entries, err := os.ReadDir(r.work.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, badinput.Errorf("output %s: %w", r.work.out, err)
	case len(entries) == 0:
		return nil, nil
	case !hasManifest(r.work.out):
		return nil, badinput.Errorf("output %s exists and is no dataset directory: choose another --out", r.work.out)
	}
	return ReadManifest(r.work.out)
}

// accept makes the run done if m has its identity, else says what differs.
func (r *Run) accept(m *Manifest) error {
	diffs, err := differences(m.identity(), r.id)
	if err != nil {
		return badinput.Errorf("%s: %w", r.work.out, err)
	}
	if len(diffs) > 0 {
		return refusal(r.work.out, "made", diffs)
	}
	if err := CheckFiles(r.work.out, m.Files); err != nil {
		return badinput.Errorf("%w (or give --restart)", err)
	}
	r.manifest = m
	return nil
}

// begin decides, under the lock, between done, continued, refused and new.
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
		diffs, err := differences(then, r.id)
		if err != nil {
			return badinput.Errorf("%s: %w", r.work.partial, err)
		}
		switch {
		case len(diffs) == 0 && (finished == nil || begun.Replace):
			return r.resume(begun)
		case finished == nil:
			return refusal(r.work.partial, "begun", diffs)
		}
		// Abandoned work beside a finished directory: that one counts.
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

// begun reads identity.json; nil when no work has begun.
func (r *Run) begun() (*Begun, *identity, error) {
	b, err := r.work.Begun()
	if b == nil || err != nil {
		return nil, nil, err
	}
	var id identity
	if err := json.Unmarshal(b.Identity, &id); err != nil {
		return nil, nil, badinput.Errorf("%s: identity.json: %w: remove the directory to begin again", r.work.partial, err)
	}
	return b, &id, nil
}

// swapped reports whether finished is what the work begun was renamed to: only
// the tidying-up after the last rename was interrupted.
func (r *Run) swapped(begun *Begun, then *identity, finished *Manifest) bool {
	if diffs, err := differences(then, finished.identity()); err != nil || len(diffs) > 0 {
		return false
	}
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(r.work.partial, name))
		return err == nil
	}
	return !there(finalName) && (!begun.Replace || there(oldName) || !there(journalName))
}

// start begins new work, towards a replacement of finished if that is not nil.
func (r *Run) start(finished *Manifest, reopened bool) error {
	if finished != nil {
		if err := Foreign(r.work.out, finished.has); err != nil {
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

// resume opens the journal; what Finish had begun is made again.
func (r *Run) resume(begun *Begun) error {
	r.replace, r.reopened = begun.Replace, begun.Reopened
	for _, name := range []string{finalName, oldName} {
		if err := os.RemoveAll(filepath.Join(r.work.partial, name)); err != nil {
			return diskError(r.work.partial, err)
		}
	}
	var err error
	r.journal, err = openJournal(filepath.Join(r.work.partial, journalName))
	return diskErrorUnlessInput(r.work.partial, err)
}

// Abandon is for stages that write their rows in one go and so have no work to
// continue: when their input or options are at fault (a badinput error), it
// removes the partial directory, so that the same output can be begun with
// others. It returns err.
func (r *Run) Abandon(err error) error {
	if badinput.Is(err) && !r.Done() {
		return errors.Join(err, r.work.Remove())
	}
	return err
}

// Done tells whether the directory is finished, from an earlier run or by
// Finish.
func (r *Run) Done() bool { return r.manifest != nil }

// Manifest describes the finished directory; nil while it is not Done.
func (r *Run) Manifest() *Manifest { return r.manifest }

// Dir is a directory for the stage's own files (caches, checkpoints) that
// outlasts interruptions and goes away with Finish. Names that begin with rows-
// and those of the package's documentation are taken.
func (r *Run) Dir() string { return r.work.partial }

// Journal is the stage's own store of finished work beside that of Map.
func (r *Run) Journal() *Journal {
	if r.journal == nil {
		return &Journal{path: filepath.Join(r.work.partial, journalName), err: errJournalClosed}
	}
	return r.journal
}

// Close makes the journals durable and lets go of the directory. What is
// unfinished can be continued by another Begin. Closing again does nothing.
func (r *Run) Close() error {
	var errs []error
	if r.journal != nil {
		errs = append(errs, r.journal.close())
	}
	for _, s := range r.steps {
		errs = append(errs, s.journal.close())
	}
	for _, t := range r.tables {
		t.table.abandon()
	}
	if r.rejects != nil {
		r.rejects.table.abandon()
	}
	return errors.Join(append(errs, r.work.Close())...)
}

// failure is the first error that a journal met behind the run's back.
func (r *Run) failure() error {
	errs := []error{r.journal.failure()}
	for _, s := range r.steps {
		errs = append(errs, s.journal.failure())
	}
	return errors.Join(errs...)
}

// writable refuses work on a Run that is done or closed.
func (r *Run) writable() error {
	if r.work.lock == nil || r.manifest != nil {
		return fmt.Errorf("pipeline: the run of %s is finished or closed", r.work.out)
	}
	return nil
}

// validSplit tells whether name can be a subdirectory of rows.
func validSplit(name string) bool {
	return name != "" && name != rejectedDir && !strings.ContainsAny(name, `/\.`)
}
