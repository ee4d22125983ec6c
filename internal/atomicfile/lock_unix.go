//go:build unix

package atomicfile

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// removable is true: an open file can be renamed and removed.
const removable = true

// unlocked is the age from which a temporary file counts as abandoned on a file
// system without locks.
const unlocked = 24 * time.Hour

// held locks a new temporary file until it is closed. It returns false if a sweep has
// locked or removed the file.
func held(f *os.File) bool {
	switch unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) {
	case unix.EWOULDBLOCK:
		return false
	}
	return named(f)
}

// named reports whether the name of an open file still refers to it.
func named(f *os.File) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(a, b)
}

// removeDead removes a temporary file that no process has locked.
func removeDead(path string) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	switch unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) {
	case nil:
	case unix.EWOULDBLOCK:
		return
	default: // a file system without locks
		if info, err := f.Stat(); err != nil || time.Since(info.ModTime()) < unlocked {
			return
		}
	}
	if named(f) {
		_ = os.Remove(path)
	}
}
