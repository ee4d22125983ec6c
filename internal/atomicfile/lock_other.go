//go:build !unix

package atomicfile

import "os"

// removable: Windows keeps a file that is open, which is as good as a lock.
const removable = false

func held(*os.File) bool { return true }

// removeDead fails, as it should, for a file that a process has open.
func removeDead(path string) { _ = os.Remove(path) }
