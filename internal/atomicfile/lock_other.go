//go:build !unix

package atomicfile

import "os"

// removable is false: Windows does not remove an open file, which replaces the lock.
const removable = false

// held reports whether a new temporary file is protected from sweeps, which it is
// while it is open.
func held(*os.File) bool { return true }

// removeDead removes a temporary file, unless a process has it open.
func removeDead(path string) { _ = os.Remove(path) }
