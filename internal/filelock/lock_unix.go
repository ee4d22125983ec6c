//go:build unix

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// removable: an open file can be removed.
const removable = true

// tryLock locks a file, without waiting, until it is closed.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errHeld
	case cannotLock(err):
		return errNoLocks
	}
	return err
}

// cannotLock recognises the errors of NFS without a lock daemon, Lustre mounted
// without flock, and some FUSE file systems.
func cannotLock(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTSUP)
}

// running reports whether a process of this machine exists.
func running(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || !errors.Is(err, unix.ESRCH)
}
