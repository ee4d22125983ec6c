// Package resident measures this process's resident memory and processor time, and the memory
// that it may have.
package resident

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Now returns the resident size in bytes. It is 0 on systems that do not report it.
func Now() int64 { return status("VmRSS:") }

// LimitGarbage makes the collector run when garbage reaches a share of the rest of the heap,
// in percent. Where most of the heap is weights and tensors, the usual 100 % doubles the
// memory. A GOGC in the environment takes precedence. It returns a function that undoes it.
func LimitGarbage(percent int) (undo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(before) }
}

// ResetPeak makes Linux start a new peak at the current size.
func ResetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Peak returns the largest resident size since the last ResetPeak, in bytes. It is 0 on
// systems that do not report it.
func Peak() int64 { return status("VmHWM:") }

// Growth returns the largest growth of the resident size while work ran, in bytes. It is 0
// on systems that do not report it. It is for tests: nothing else should run meanwhile.
func Growth(work func()) int64 {
	debug.FreeOSMemory()
	ResetPeak()
	before := status("VmRSS:")
	work()
	return max(Peak()-before, 0)
}

// status returns a value of /proc/self/status, which is in kilobytes, in bytes.
func status(line string) int64 { return kilobytes("/proc/self/status", line) }

// kilobytes returns the value of a line of a file in bytes, or 0 if there is none.
func kilobytes(file, line string) int64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(l, line); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
