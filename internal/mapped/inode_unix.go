//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly || solaris

package mapped

import (
	"io/fs"
	"os"
	"syscall"

	"barka/internal/filestamp"
)

// rewritten reports whether a file's change time (ctime) shows a write. A program that
// writes to the file can set its modification time back, but not its change time. A
// rename, and a change of links, mode or owner, set the change time too; they leave
// the content unchanged and are not reported.
func rewritten(path string, before, now fs.FileInfo) bool {
	a, ok := before.Sys().(*syscall.Stat_t)
	b, also := now.Sys().(*syscall.Stat_t)
	if !ok || !also || filestamp.ChangeTime(a).Equal(filestamp.ChangeTime(b)) {
		return false
	}
	if a.Nlink != b.Nlink || a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(named, now)
}
