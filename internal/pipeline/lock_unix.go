//go:build unix

package pipeline

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"barka/internal/badinput"
)

// acquire locks the file at path, which it makes if needed, against other
// processes. The system drops the lock when the process dies.
func acquire(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, badinput.Errorf("%s: another process is working on this output; wait for it, or choose another --out", path)
			}
			return nil, err
		}
		// A process that finished in between has removed the file: then this
		// lock is on a name nobody else will find.
		held, err := f.Stat()
		if err == nil {
			if named, serr := os.Stat(path); serr == nil && os.SameFile(held, named) {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}
