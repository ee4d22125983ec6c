package bench

import (
	"runtime"
	"sync"
	"time"

	"barka/internal/kernel"
)

// Ceilings are what the machine can do at most, on all threads: arithmetic in
// registers and reading memory.
type Ceilings struct {
	F32  float64 `json:"f32_flops"`  // a second
	BF16 float64 `json:"bf16_flops"` // a second; float32's where the machine has no bfloat16
	Read float64 `json:"read_bytes"` // a second
}

// MeasureCeilings takes the best of several short runs on all threads.
func MeasureCeilings(threads int) Ceilings {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	const megabytes = 256
	slices := make([][]float32, threads)
	for i := range slices {
		slices[i] = make([]float32, megabytes<<18)
		for j := range slices[i] {
			slices[i][j] = 1
		}
	}
	var c Ceilings
	for range 5 {
		c.F32 = max(c.F32, together(threads, func(int) float64 { return kernel.Peak(4_000_000, false) }))
		c.BF16 = max(c.BF16, together(threads, func(int) float64 { return kernel.Peak(4_000_000, true) }))
		c.Read = max(c.Read, together(threads, func(i int) float64 {
			kernel.ReadBandwidth(slices[i])
			return float64(4 * len(slices[i]))
		}))
	}
	return c
}

// together runs f on every thread at once and returns the work of all over
// the time of the slowest.
func together(threads int, f func(thread int) float64) float64 {
	var wg sync.WaitGroup
	work := make([]float64, threads)
	start := time.Now()
	for i := range threads {
		wg.Go(func() { work[i] = f(i) })
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	var sum float64
	for _, w := range work {
		sum += w
	}
	return sum / took
}
