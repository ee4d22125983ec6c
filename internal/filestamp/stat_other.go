//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || solaris)

package filestamp

import "io/fs"

func (*Stamp) addSystem(fs.FileInfo) {}
