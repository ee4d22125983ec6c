//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly || solaris

package mapped

import (
	"io/fs"
	"os"
	"syscall"
)

// rewritten reports whether the time of a file's last change of state differs,
// which a program that writes to the file cannot set, as it can the time of the
// last write. A change of the file's links, mode or owner sets it too and leaves
// the content as it is, and so does a rename.
func rewritten(path string, before, now fs.FileInfo) bool {
	a, ok := before.Sys().(*syscall.Stat_t)
	b, also := now.Sys().(*syscall.Stat_t)
	if !ok || !also || changeTime(a).Equal(changeTime(b)) {
		return false
	}
	if a.Nlink != b.Nlink || a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(named, now)
}
