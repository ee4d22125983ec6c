// Package resident measures the memory that this process has really taken.
package resident

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// ResetPeak makes Linux count the peak from the present size on.
func ResetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Peak is the largest resident size since the last ResetPeak, in bytes; 0
// where the system does not say.
func Peak() int64 { return status("VmHWM:") }

// Growth returns by how many bytes the resident size grew at most while work
// ran; 0 where the system does not say. It is for tests: nothing else should
// run at the time.
func Growth(work func()) int64 {
	debug.FreeOSMemory()
	ResetPeak()
	before := status("VmRSS:")
	work()
	return max(Peak()-before, 0)
}

// status reads a line of kilobytes from Linux's account of the process.
func status(line string) int64 {
	data, err := os.ReadFile("/proc/self/status")
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
