//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly || solaris

package filestamp

import (
	"io/fs"
	"syscall"
	"time"
)

func (s *Stamp) addSystem(info fs.FileInfo) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Changed, s.Inode, s.Device = ChangeTime(sys).UnixNano(), uint64(sys.Ino), uint64(sys.Dev)
	}
}

// ChangeTime returns the time of the last change of a file's content, name or attributes.
func ChangeTime(s *syscall.Stat_t) time.Time { return changeTime(s) }
