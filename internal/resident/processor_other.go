//go:build !unix

package resident

import "time"

// Processor returns the processor time that all threads of the process have used. It is 0 on
// systems that do not report it.
func Processor() time.Duration { return 0 }
