package bench

import (
	"runtime"
	"time"

	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/panics"
	"barka/internal/tensor"
)

// Ceilings are the machine's limits on all threads: arithmetic in registers, and
// reading memory.
type Ceilings struct {
	F32  float64 `json:"f32_flops"`  // per second
	BF16 float64 `json:"bf16_flops"` // per second; float32's if the machine has no bfloat16
	I8   float64 `json:"int8_ops"`   // per second
	Read float64 `json:"read_bytes"` // per second
}

// MeasureCeilings takes the best of several short runs on all threads. The memory
// is allocated by the device, in large pages if it uses them.
func MeasureCeilings(dev tensor.Device, threads int) Ceilings {
	return ceilings(dev, threads, 256<<20, 5)
}

// QuickCeilings measures for an estimate: fewer runs in less memory. A machine
// with large caches then seems to read faster than it does.
func QuickCeilings(dev tensor.Device, threads int) Ceilings { return ceilings(dev, threads, 64<<20, 2) }

// Arithmetic measures the arithmetic ceiling of a type, F32 or BF16, in operations per second
// on all threads. It takes some milliseconds and no memory.
func Arithmetic(threads int, dt dtype.DType) (best float64) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	for range 3 {
		best = max(best, together(threads, func(int) float64 { return kernel.Peak(4_000_000, dt) }))
	}
	return best
}

// ceilings takes the best of several rounds, each reading bytes on every thread.
func ceilings(dev tensor.Device, threads, bytes, rounds int) Ceilings {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	memory := make([]tensor.Tensor, threads)
	for i := range memory {
		memory[i] = dev.Alloc(bytes>>14, 1<<12)
		dev.Zero(memory[i])
	}
	// The memory is left to the garbage collector: a device keeps what is freed, and
	// the peaks of the works would include it.
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

// read reads four parts of x alternately, because a thread gets more bandwidth when
// several streams are in flight.
func read(x []float32) {
	const streams, block = 4, 1024
	n := len(x) / streams
	for lo := 0; lo+block <= n; lo += block {
		for s := range streams {
			kernel.ReadBandwidth(x[s*n+lo:][:block])
		}
	}
}

// together runs f on every thread at once and returns the total work divided by
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

// results returns the ceilings as measurements.
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
