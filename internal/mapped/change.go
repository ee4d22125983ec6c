package mapped

import (
	"errors"
	"io/fs"
	"os"

	"barka/internal/badinput"
	"barka/internal/panics"
)

// changed is the error of a file that did not stay as it was.
func changed(path, how string) error {
	return badinput.Errorf("%s changed while it was being read: %s; run again with a file that stays", path, how)
}

// Compare returns an error that names the file if now is not what before was,
// by identity, size and time.
func Compare(path string, before, now fs.FileInfo) error {
	if !os.SameFile(before, now) {
		return changed(path, "another file took its place")
	}
	return compare(path, before, now)
}

// compare is Compare of an open file, which stays the same one. A write sets the
// times before it changes the bytes. Bytes that were read before a comparison
// that finds no difference are therefore the old ones.
func compare(path string, before, now fs.FileInfo) error {
	switch {
	case now.Size() < before.Size():
		return changed(path, "it was cut short")
	case now.Size() > before.Size():
		return changed(path, "it has grown")
	case !now.ModTime().Equal(before.ModTime()):
		return changed(path, "it was written to")
	case rewritten(path, before, now):
		return changed(path, "it was written to or touched, and its time of modification set back")
	}
	return nil
}

// Guard runs f, which reads mapped files. A read of bytes that a file has lost
// is an error that names the file.
func Guard(f func() error) error { return Explain(panics.Catch(f)) }

// Explain returns the error of a changed file for an err that is a panic with
// it, or one by reading bytes that a mapped file has lost. Of a goroutine's
// panics, mapped memory's are those that panics.Catch makes of faults.
func Explain(err error) error {
	var p *panics.Error
	if !errors.As(err, &p) {
		return err
	}
	var fault interface{ Addr() uintptr }
	if errors.As(p, &fault) {
		if lost := lost(fault.Addr()); lost != nil {
			return lost
		}
	}
	var bad *badinput.Error
	if errors.As(p, &bad) {
		return bad
	}
	return err
}
