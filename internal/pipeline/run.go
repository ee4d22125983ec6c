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
	out, partial string
	id           *identity
	manifest     *Manifest // set when done
	replace      bool      // a finished directory stands at out and is to go
	reopened     bool      // that directory has the same identity and keeps most of its results
	lock         *os.File
	journal      *Journal
	steps        []*step
	tables       []*split
	rejects      *rejectTable
}

// partialIdentity is the content of identity.json.
type partialIdentity struct {
	Format   int       `json:"format"`
	Replace  bool      `json:"replace"` // a finished directory is to be replaced: --restart was given, or
	Reopened bool      `json:"reopened,omitempty"`
	Identity *identity `json:"identity"`
}

const (
	identityName = "identity.json"
	lockName     = "lock"
	journalName  = "journal.jsonl"
	finalName    = "final"
	oldName      = "old"
)

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
	out = filepath.Clean(out)
	if name := filepath.Base(out); name == "." || name == ".." || name == string(filepath.Separator) {
		return nil, badinput.Errorf("output %q: name a directory that the stage can make", out)
	}
	for name, path := range id.Inputs {
		if overlaps(out, path) {
			return nil, badinput.Errorf("output %s is, or lies in, input %s (%s): choose another --out", out, name, path)
		}
	}
	known, err := id.resolve()
	if err != nil {
		return nil, err
	}
	r := &Run{out: out, partial: out + partialSuffix, id: known}
	finished, err := r.finished()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(r.partial); finished != nil && how == continueRun && errors.Is(err, fs.ErrNotExist) {
		return r, r.accept(finished) // needs no write access
	}
	if err := os.MkdirAll(r.partial, 0o777); err != nil {
		return nil, diskError(r.partial, err)
	}
	if r.lock, err = acquire(filepath.Join(r.partial, lockName)); err != nil {
		if !badinput.Is(err) {
			err = diskError(r.partial, err)
		}
		return nil, err
	}
	if err := r.begin(how); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// overlaps tells whether out is the input at path, above it, or inside it.
func overlaps(out, path string) bool {
	real := func(p string) string {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		if resolved, err := filepath.EvalSymlinks(p); err == nil {
			p = resolved
		}
		return p
	}
	a, b := real(out), real(path)
	separator := string(filepath.Separator)
	return a == b || strings.HasPrefix(a, b+separator) || strings.HasPrefix(b, a+separator)
}

// finished reads the manifest of what stands at out; nil when there is nothing.
func (r *Run) finished() (*Manifest, error) {
	entries, err := os.ReadDir(r.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, badinput.Errorf("output %s: %w", r.out, err)
	case len(entries) == 0:
		return nil, nil
	case !hasManifest(r.out):
		return nil, badinput.Errorf("output %s exists and is no dataset directory: choose another --out", r.out)
	}
	return ReadManifest(r.out)
}

// accept makes the run done if m has its identity, else says what differs.
func (r *Run) accept(m *Manifest) error {
	diffs, err := differences(m.identity(), r.id)
	if err != nil {
		return badinput.Errorf("%s: %w", r.out, err)
	}
	if len(diffs) > 0 {
		return refusal(r.out, "made", diffs)
	}
	for _, f := range m.Files {
		if err := checkSize(r.out, f); err != nil {
			return badinput.Errorf("%w (or give --restart)", err)
		}
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
	begun, err := r.begun()
	if err != nil {
		return err
	}
	if begun != nil && finished != nil && r.swapped(begun, finished) {
		// Only the tidying-up after the last rename was interrupted.
		if err := r.clear(); err != nil {
			return err
		}
		begun = nil
	}
	if how == restartAll {
		if err := r.clear(); err != nil {
			return err
		}
		return r.start(finished != nil, false)
	}
	if begun != nil {
		diffs, err := differences(begun.Identity, r.id)
		if err != nil {
			return badinput.Errorf("%s: %w", r.partial, err)
		}
		switch {
		case len(diffs) == 0 && (finished == nil || begun.Replace):
			return r.resume(begun)
		case finished == nil:
			return refusal(r.partial, "begun", diffs)
		}
		// Abandoned work beside a finished directory: that one counts.
	}
	if finished == nil {
		return r.start(false, false)
	}
	err = r.accept(finished)
	if err == nil && how == reopenFinished {
		r.manifest = nil
		if err := r.clear(); err != nil {
			return err
		}
		return r.start(true, true)
	}
	if begun == nil {
		err = errors.Join(err, r.remove())
	}
	if err == nil {
		err = r.Close()
	}
	return err
}

// begun reads identity.json; nil when no work has begun.
func (r *Run) begun() (*partialIdentity, error) {
	path := filepath.Join(r.partial, identityName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, r.onlyLock()
	}
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var p partialIdentity
	if err := json.Unmarshal(data, &p); err != nil || p.Format != manifestFormat || p.Identity == nil {
		return nil, badinput.Errorf("%s is damaged or of another version (%v): remove %s to begin again", path, err, r.partial)
	}
	return &p, nil
}

// onlyLock refuses to work in, and later remove, a directory of someone else.
func (r *Run) onlyLock() error {
	entries, err := os.ReadDir(r.partial)
	if err != nil {
		return badinput.Wrap(err)
	}
	for _, e := range entries {
		if e.Name() != lockName && e.Name() != identityName+".tmp" {
			return badinput.Errorf("%s holds %s and was not made by barka: move it away, or choose another --out", r.partial, e.Name())
		}
	}
	return nil
}

// swapped tells whether finished is what the work begun was renamed to.
func (r *Run) swapped(begun *partialIdentity, finished *Manifest) bool {
	if diffs, err := differences(begun.Identity, finished.identity()); err != nil || len(diffs) > 0 {
		return false
	}
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(r.partial, name))
		return err == nil
	}
	return !there(finalName) && (!begun.Replace || there(oldName) || !there(journalName))
}

// start begins new work in an empty partial directory.
func (r *Run) start(replace, reopened bool) error {
	begun := &partialIdentity{manifestFormat, replace, reopened, r.id}
	data, err := json.MarshalIndent(begun, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(r.partial, identityName), append(data, '\n')); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(r.partial)); err != nil {
		return err
	}
	return r.resume(begun)
}

// resume opens the journal; what Finish had begun is made again.
func (r *Run) resume(begun *partialIdentity) error {
	r.replace, r.reopened = begun.Replace, begun.Reopened
	for _, name := range []string{finalName, oldName} {
		if err := os.RemoveAll(filepath.Join(r.partial, name)); err != nil {
			return diskError(r.partial, err)
		}
	}
	var err error
	r.journal, err = openJournal(filepath.Join(r.partial, journalName))
	return diskErrorUnlessInput(r.partial, err)
}

func diskErrorUnlessInput(path string, err error) error {
	if err == nil || badinput.Is(err) {
		return err
	}
	return diskError(path, err)
}

// clear empties the partial directory: the journal first, so that what is left
// if this is interrupted is not taken for unfinished work, and identity.json
// last, without which the rest would not be known as barka's.
func (r *Run) clear() error {
	if err := os.Remove(filepath.Join(r.partial, journalName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(r.partial, err)
	}
	entries, err := os.ReadDir(r.partial)
	if err != nil {
		return diskError(r.partial, err)
	}
	for _, e := range entries {
		if e.Name() == identityName || e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.partial, e.Name())); err != nil {
			return diskError(r.partial, err)
		}
	}
	if err := os.Remove(filepath.Join(r.partial, identityName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(r.partial, err)
	}
	return nil
}

// Abandon is for stages that write their rows in one go and so have no work to
// continue: when their input or options are at fault (a badinput error), it
// removes the partial directory, so that the same output can be begun with
// others. It returns err.
func (r *Run) Abandon(err error) error {
	if badinput.Is(err) && !r.Done() {
		return errors.Join(err, r.remove())
	}
	return err
}

// remove deletes the partial directory while its lock is held.
func (r *Run) remove() error {
	if err := r.clear(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(r.partial, lockName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(r.partial, err)
	}
	// Another process may have made a new lock file here already: leave it.
	if err := os.Remove(r.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if entries, rerr := os.ReadDir(r.partial); rerr != nil || len(entries) == 0 {
			return diskError(r.partial, err)
		}
	}
	return nil
}

// Done tells whether the directory is finished, from an earlier run or by
// Finish.
func (r *Run) Done() bool { return r.manifest != nil }

// Manifest describes the finished directory; nil while it is not Done.
func (r *Run) Manifest() *Manifest { return r.manifest }

// Dir is a directory for the stage's own files (caches, checkpoints) that
// outlasts interruptions and goes away with Finish. Names that begin with rows-
// and those of the package's documentation are taken.
func (r *Run) Dir() string { return r.partial }

// Journal is the stage's own store of finished work beside that of Map.
func (r *Run) Journal() *Journal {
	if r.journal == nil {
		return &Journal{path: filepath.Join(r.partial, journalName), err: errJournalClosed}
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
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
		r.lock = nil
	}
	return errors.Join(errs...)
}

// writable refuses work on a Run that is done or closed.
func (r *Run) writable() error {
	if r.lock == nil || r.manifest != nil {
		return fmt.Errorf("pipeline: the run of %s is finished or closed", r.out)
	}
	return nil
}

// validSplit tells whether name can be a subdirectory of rows.
func validSplit(name string) bool {
	return name != "" && name != rejectedDir && !strings.ContainsAny(name, `/\.`)
}
