package printable

import "fmt"

// Memory writes an amount of memory in MiB or GiB with one decimal, precise
// enough to compare a need with a limit: 512.0 MiB, 19.3 GiB.
func Memory(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
