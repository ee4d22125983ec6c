package mapped

import (
	"errors"
	"io/fs"
	"os"

	"barka/internal/badinput"
	"barka/internal/panics"
)

// changed returns the error of a file that changed while it was read.
func changed(path, how string) error {
	return badinput.Errorf("%s changed while it was being read: %s; run again when nothing writes to it", path, how)
}

// Compare returns an error if the file at path has changed between before and now: in
// its identity, size or times.
func Compare(path string, before, now fs.FileInfo) error {
	if !os.SameFile(before, now) {
		return changed(path, "it was replaced by another file")
	}
	return compare(path, before, now)
}

// compare is Compare for an open file, whose identity cannot change. A write sets the
// times before it changes the bytes. If the comparison finds no difference, bytes that
// were read before it are therefore the old ones.
func compare(path string, before, now fs.FileInfo) error {
	switch {
	case now.Size() < before.Size():
		return changed(path, "it was truncated")
	case now.Size() > before.Size():
		return changed(path, "it has grown")
	case !now.ModTime().Equal(before.ModTime()):
		return changed(path, "it was written to")
	case rewritten(path, before, now):
		return changed(path, "it was written to or touched, and its modification time was set back")
	}
	return nil
}

// Guard runs f, which reads mapped files. If f reads bytes that a file has lost, Guard
// returns an error that names the file.
func Guard(f func() error) error { return Explain(panics.Catch(f)) }

// Explain turns the error of a panic into that of a changed file. It does so if the
// panic's value is such an error, and if it is a fault at an address at which a file
// is mapped. Other errors are returned unchanged. panics.Catch turns faults into
// errors.
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
