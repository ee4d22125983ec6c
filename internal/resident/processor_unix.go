//go:build unix

package resident

import (
	"syscall"
	"time"
)

// Processor returns the processor time that all threads of the process have used. It is 0 on
// systems that do not report it.
func Processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
