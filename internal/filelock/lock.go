// Package filelock keeps other processes out of an output while one works on it.
package filelock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// Lock keeps other processes out of an output while one works on it. It is a
// locked file, which the system unlocks when the process dies. On file systems
// without locks it is a file that names its owner; see owner.
type Lock struct {
	f    *os.File
	path string
	own  bool // an owner's file exists next to path
}

// errNoLocks is what tryLock returns where files cannot be locked.
var errNoLocks = errors.New("file locks are not supported here")

// errHeld is what tryLock returns for a file that another process has locked.
var errHeld = errors.New("held by another process")

// systemLock is tryLock, a variable for tests of file systems without locks.
var systemLock = tryLock

// Disable makes this process see file systems without locks until restore is
// called. It is for tests.
func Disable() (restore func()) {
	before := systemLock
	systemLock, noted = func(*os.File) error { return errNoLocks }, sync.Once{}
	return func() { systemLock = before }
}

// Acquire locks the file at path, which it makes if needed, or returns a
// badinput error at once if another process holds it. The directory must exist.
// The lock of a killed process is taken over.
func Acquire(path string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, atomicfile.Explain(path, err)
		}
		l := &Lock{f: f, path: path}
		switch err := systemLock(f); {
		case errors.Is(err, errHeld):
			f.Close()
			return nil, badinput.Errorf("%s: another process is working on this output; wait for it, or name another output directory", path)
		case errors.Is(err, errNoLocks):
			noteNoLocks(path)
			if err := l.claim(); err != nil {
				f.Close()
				return nil, err
			}
		case err != nil:
			f.Close()
			return nil, atomicfile.Explain(path, err)
		}
		// A process that finished meanwhile may have removed the file. Then no
		// other process can find this lock.
		held, err := f.Stat()
		if err == nil {
			var named os.FileInfo
			if named, err = os.Stat(path); err == nil && os.SameFile(held, named) {
				return l, nil
			}
		}
		l.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, atomicfile.Explain(path, err)
		}
	}
}

// Hold makes a directory in which files are replaced one by one, and locks it.
// Discard releases it.
func Hold(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, atomicfile.Explain(dir, err)
	}
	return Acquire(filepath.Join(dir, ".barka.lock"))
}

// Close releases the lock and leaves the file for the next process. Closing
// again does nothing.
func (l *Lock) Close() error {
	if l == nil || l.f == nil {
		return nil
	}
	var errs []error
	if l.own {
		errs = append(errs, os.Remove(l.path+ownerSuffix))
	}
	errs = append(errs, l.f.Close())
	l.f = nil
	return errors.Join(errs...)
}

// Discard removes the file and releases the lock. It is for a finished
// directory, in which no lock file should remain.
func (l *Lock) Discard() error {
	if l == nil || l.f == nil {
		return nil
	}
	if removable { // while it is held, so that nobody else's is removed
		if err := os.Remove(l.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("the work is done, but its lock file stays: %w", err), l.Close())
		}
		return l.Close()
	}
	err := l.Close()
	_ = os.Remove(l.path) // fails, as it should, if another process has it open
	return err
}
