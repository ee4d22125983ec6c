//go:build unix

package hub

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"barka/internal/pause"
)

// acquire takes the lock that huggingface_hub takes for a blob. If another
// process holds it, acquire calls waiting once and waits. The system drops the
// lock when the process dies.
func acquire(ctx context.Context, path string, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, diskError(path, err)
	}
	for told := false; ; {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, diskError(path, err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			// The previous holder may have removed the file. Then no other
			// process can find this lock.
			held, err := f.Stat()
			var named os.FileInfo
			if err == nil {
				named, err = os.Stat(path)
			}
			if err == nil && os.SameFile(held, named) {
				return func() { f.Close() }, nil
			}
			f.Close()
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, diskError(path, err)
			}
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			// A file system without locks. The digest is verified in any case.
			return func() { f.Close() }, nil
		}
		f.Close()
		if !told {
			waiting()
			told = true
		}
		if err := pause.Sleep(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// freeSpace returns the number of bytes that can be written below a directory, which
// need not exist.
func freeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(existing(dir), &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
