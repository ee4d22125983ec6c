// Package filestamp describes the state of a file without reading it: what the system
// changes when the file is written to or replaced.
package filestamp

import (
	"io/fs"
	"time"
)

// Stamp is the state of a file. Times are Unix nanoseconds. Changed, Inode and Device are 0
// where the system has none.
type Stamp struct {
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Changed  int64  `json:"changed"` // the change time, which programs cannot set back
	Inode    uint64 `json:"inode"`
	Device   uint64 `json:"device"`
}

// Of returns the stamp of a file.
func Of(info fs.FileInfo) Stamp {
	s := Stamp{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	s.addSystem(info)
	return s
}

// Settled reports whether the file was last written to long enough before now. Soon after a
// write, another one may leave the same times, because their resolution can be two
// seconds. A file with times in the future is not settled.
func (s Stamp) Settled(now time.Time) bool {
	const resolution = 2 * time.Second
	return max(s.Modified, s.Changed) < now.Add(-resolution).UnixNano()
}
