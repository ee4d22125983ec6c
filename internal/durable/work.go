package durable

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/filelock"
)

// identityFormat is the version of identity.json.
const identityFormat = 1

const (
	identityName = "identity.json"
	lockName     = "lock"
	journalName  = "journal.jsonl"
	finalName    = "final"
	oldName      = "old"
)

// Work makes a directory: a dataset (see Run), an adapter or a merged model. The
// directory is made in OUT.partial. When it is complete, one rename moves it into
// place. Methods are not safe for concurrent use.
type Work struct {
	out, partial string
	lock         *filelock.Lock
}

// Begun is the content of identity.json, which describes unfinished work.
type Begun struct {
	Format   int             `json:"format"`
	Replace  bool            `json:"replace"` // a finished directory will be replaced, after --restart or Reopen
	Reopened bool            `json:"reopened,omitempty"`
	Identity json.RawMessage `json:"identity"`
}

// NewWork prepares work on the directory out. It changes nothing on disk.
func NewWork(out string) (*Work, error) {
	out = filepath.Clean(out)
	if name := filepath.Base(out); name == "." || name == ".." || name == string(filepath.Separator) {
		return nil, badinput.Errorf("output %q is not a directory that can be made; name another", out)
	}
	return &Work{out: out, partial: out + dataset.PartialSuffix}, nil
}

// Dir returns OUT.partial, the directory for files of the work itself.
func (w *Work) Dir() string { return w.partial }

// Final returns the directory that will become OUT.
func (w *Work) Final() string { return filepath.Join(w.partial, finalName) }

// Pending reports whether OUT.partial exists: work has begun, or has left something
// behind.
func (w *Work) Pending() bool {
	_, err := os.Lstat(w.partial)
	return !errors.Is(err, fs.ErrNotExist)
}

// Lock makes OUT.partial and locks it against other processes. It returns a badinput
// error if another process works there, or if barka did not make the directory, which
// is then left unchanged.
func (w *Work) Lock() (err error) {
	if _, err := w.Begun(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(w.partial, 0o777); err != nil {
		return atomicfile.Explain(w.partial, err)
	}
	w.lock, err = filelock.Acquire(filepath.Join(w.partial, lockName))
	return err
}

// Close releases the directory. Unfinished work can be resumed later. Closing again
// does nothing.
func (w *Work) Close() error {
	l := w.lock
	w.lock = nil
	return l.Close()
}

// Begun reads identity.json. It returns nil if no work has begun, and an error for a
// directory that barka did not make.
func (w *Work) Begun() (*Begun, error) {
	path := filepath.Join(w.partial, identityName)
	data, err := badinput.ReadFile(path, badinput.MaxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, w.onlyLock()
	}
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	var b Begun
	if err := json.Unmarshal(data, &b); err != nil || b.Format != identityFormat || len(b.Identity) == 0 || string(b.Identity) == "null" {
		return nil, badinput.Errorf("%s is damaged or of another version (%v); remove %s to begin again", path, err, w.partial)
	}
	return &b, nil
}

// onlyLock returns an error for a directory with foreign files, which would be removed
// later.
func (w *Work) onlyLock() error {
	entries, err := os.ReadDir(w.partial)
	if err != nil {
		return badinput.Wrap(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), lockName) && atomicfile.Target(e.Name()) != identityName {
			return badinput.Errorf("%s holds %s and was not made by barka; move it away, or choose another --out", w.partial, e.Name())
		}
	}
	return nil
}

// Start begins new work and discards unfinished work.
func (w *Work) Start(identity any, replace bool) error {
	if err := w.clear(); err != nil {
		return err
	}
	return w.start(identity, replace, false)
}

// Rename changes the identity of begun work.
func (w *Work) Rename(b *Begun, identity any) error { return w.start(identity, b.Replace, b.Reopened) }

// start writes identity.json.
func (w *Work) start(identity any, replace, reopened bool) error {
	raw, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(Begun{identityFormat, replace, reopened, raw}, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(w.partial, identityName)
	if err := atomicfile.WriteFile(path, append(data, '\n')); err != nil {
		return atomicfile.Explain(path, err)
	}
	return syncDir(filepath.Dir(w.partial))
}

// clear empties the partial directory. It removes the journal first: if clear is
// interrupted, the rest must not look like unfinished work. It removes identity.json
// last, because that file shows that barka made the directory.
func (w *Work) clear() error {
	if err := os.Remove(filepath.Join(w.partial, journalName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return atomicfile.Explain(w.partial, err)
	}
	entries, err := os.ReadDir(w.partial)
	if err != nil {
		return atomicfile.Explain(w.partial, err)
	}
	for _, e := range entries {
		if e.Name() == identityName || strings.HasPrefix(e.Name(), lockName) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(w.partial, e.Name())); err != nil {
			return atomicfile.Explain(w.partial, err)
		}
	}
	if err := os.Remove(filepath.Join(w.partial, identityName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return atomicfile.Explain(w.partial, err)
	}
	return nil
}

// Swap renames Final, which must be complete and durable, to OUT. An existing OUT is
// removed first if it is empty, or moved away if known accepts every name in it. A nil
// known accepts none.
func (w *Work) Swap(known func(name string) bool) error {
	if _, err := os.Lstat(w.out); err == nil {
		if known == nil {
			err = os.Remove(w.out) // fails unless it is empty
		} else if err = Foreign(w.out, known); err == nil {
			err = os.Rename(w.out, filepath.Join(w.partial, oldName))
		}
		if err != nil {
			return atomicfile.Explain(w.out, err)
		}
	}
	if err := os.Rename(w.Final(), w.out); err != nil {
		return atomicfile.Explain(w.out, err)
	}
	return syncDir(filepath.Dir(w.out))
}

// Remove deletes the partial directory and releases it.
func (w *Work) Remove() error {
	if err := w.clear(); err != nil {
		return errors.Join(err, w.Close())
	}
	l := w.lock
	w.lock = nil
	if err := l.Discard(); err != nil {
		return err
	}
	// Another process may already have made a new lock file here. Leave it.
	if err := os.Remove(w.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if entries, rerr := os.ReadDir(w.partial); rerr != nil || len(entries) == 0 {
			return atomicfile.Explain(w.partial, err)
		}
	}
	return nil
}

// Foreign returns a badinput error if dir holds a file whose slash-separated name known
// does not accept. A directory is replaced only if barka made all of its files.
func Foreign(dir string, known func(name string) bool) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return badinput.Wrap(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || e.IsDir() || known(filepath.ToSlash(name)) {
			return err
		}
		return badinput.Errorf("%s holds %s, which barka did not make; move it away, or choose another --out", dir, name)
	})
}

// overlaps reports whether out is the input at path, contains it or lies inside it.
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

// CheckApart returns a badinput error if out is an input, contains one or lies inside
// one.
func CheckApart(out string, inputs map[string]string) error {
	for name, path := range inputs {
		if overlaps(out, path) {
			return badinput.Errorf("output %s overlaps input %s (%s); choose another --out", out, name, path)
		}
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error { return atomicfile.Explain(dir, atomicfile.SyncDir(dir)) }
