//go:build windows

package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"

	"barka/internal/pause"
)

// acquire takes the lock that huggingface_hub takes for a blob: the first byte
// of the file. If another process holds it, acquire calls waiting once and
// waits.
func acquire(ctx context.Context, path string, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, diskError(path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, diskError(path, err)
	}
	for told := false; ; {
		err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1,
			0, new(windows.Overlapped))
		if !errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return func() { f.Close() }, nil
		}
		if !told {
			waiting()
			told = true
		}
		if err := pause.Sleep(ctx, 200*time.Millisecond); err != nil {
			f.Close()
			return nil, err
		}
	}
}

// freeSpace returns the number of bytes that can be written below a directory, which
// need not exist.
func freeSpace(dir string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(existing(dir))
	if err != nil {
		return 0, false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, false
	}
	return int64(min(free, 1<<62)), true
}

func noSpace(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }
