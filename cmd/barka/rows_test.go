package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"barka/internal/bench"
)

// TestMemoryOfRows compares the peak memory of the data stages on two numbers of made rows,
// each in a process of its own. BARKA_ROWS is FEW,MANY,PERCENT, by which the memory may grow.
func TestMemoryOfRows(t *testing.T) {
	var few, many int
	var percent float64
	if n, _ := fmt.Sscanf(os.Getenv("BARKA_ROWS"), "%d,%d,%f", &few, &many, &percent); n != 3 {
		t.Skip("BARKA_ROWS=200000,2000000,10 measures the memory of the data stages")
	}
	small, large := memoryOfRows(t, few), memoryOfRows(t, many)
	for name, m := range small {
		growth := 100 * (float64(large[name])/float64(m) - 1)
		t.Logf("%s: %d MB for %d rows, %d MB for %d, %+.0f %%", name, m>>20, few, large[name]>>20, many, growth)
		if m == 0 || growth > percent {
			t.Errorf("%s: the memory grew by %.0f %%, expected at most %.0f %%", name, growth, percent)
		}
	}
}

// memoryOfRows returns the peak resident memory of each stage in bytes.
func memoryOfRows(t *testing.T, rows int) map[string]int64 {
	t.Helper()
	c := program("bench", "data", "--rows", fmt.Sprint(rows), "--words", "8", "--json")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	var results []bench.Result
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	peaks := map[string]int64{}
	for _, r := range results {
		peaks[r.Work+" ("+r.Variant+")"] = r.PeakRSS
	}
	return peaks
}
