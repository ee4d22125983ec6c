package bench

import (
	"runtime"
	"time"

	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/panics"
	"barka/internal/tensor"
)

// Ceilings are what the machine can do at most, on all threads: arithmetic in
// registers and reading memory.
type Ceilings struct {
	F32  float64 `json:"f32_flops"`  // a second
	BF16 float64 `json:"bf16_flops"` // a second; float32's where the machine has no bfloat16
	I8   float64 `json:"int8_ops"`   // a second
	Read float64 `json:"read_bytes"` // a second
}

// MeasureCeilings takes the best of several short runs on all threads. Memory
// is the device's own, in large pages where it has them.
func MeasureCeilings(dev tensor.Device, threads int) Ceilings {
	return ceilings(dev, threads, 256<<20, 5)
}

// QuickCeilings measures for an estimate: once, in less memory, with which a
// machine of large caches seems to read faster than it does.
func QuickCeilings(dev tensor.Device, threads int) Ceilings { return ceilings(dev, threads, 64<<20, 2) }

// ceilings takes the best of several rounds, reading bytes on each thread.
func ceilings(dev tensor.Device, threads, bytes, rounds int) Ceilings {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	memory := make([]tensor.Tensor, threads)
	for i := range memory {
		memory[i] = dev.Alloc(bytes>>14, 1<<12)
		dev.Zero(memory[i])
	}
	// The memory is dropped, not freed: a device keeps what is freed to it, and
	// the peaks of the works would count it.
	var c Ceilings
	for range rounds {
		c.F32 = max(c.F32, together(threads, func(int) float64 { return kernel.Peak(4_000_000, dtype.F32) }))
		c.BF16 = max(c.BF16, together(threads, func(int) float64 { return kernel.Peak(4_000_000, dtype.BF16) }))
		c.I8 = max(c.I8, together(threads, func(int) float64 { return kernel.Peak(4_000_000, dtype.I8) }))
		c.Read = max(c.Read, together(threads, func(i int) float64 {
			read(memory[i].Data)
			return float64(bytes)
		}))
	}
	return c
}

// read reads x in four places by turns, since one thread gets more from
// memory when it waits for several places at once.
func read(x []float32) {
	const streams, block = 4, 1024
	n := len(x) / streams
	for lo := 0; lo+block <= n; lo += block {
		for s := range streams {
			kernel.ReadBandwidth(x[s*n+lo:][:block])
		}
	}
}

// together runs f on every thread at once and returns the work of all over
// the time of the slowest.
func together(threads int, f func(thread int) float64) float64 {
	var wg panics.Group
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

// results are the ceilings as measurements.
func (c Ceilings) results() []Result {
	rs := []Result{
		{Variant: "f32", Value: c.F32 / 1e9, Unit: "GFLOP/s"}, {Variant: "bf16", Value: c.BF16 / 1e9, Unit: "GFLOP/s"},
		{Variant: "int8", Value: c.I8 / 1e9, Unit: "GOP/s"}, {Variant: "read", Value: c.Read / 1e9, Unit: "GB/s"},
	}
	for i := range rs {
		rs[i].Work, rs[i].Shape, rs[i].Median = "ceiling", "machine", rs[i].Value
	}
	return rs
}
