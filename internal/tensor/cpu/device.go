// Package cpu is the tensor.Device of the host: package kernel on the workers
// of package parallel. All results are independent of the number of workers.
package cpu

import (
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"

	"barka/internal/cpu"
	"barka/internal/kernel"
	"barka/internal/parallel"
	"barka/internal/tensor"
)

// Device computes on the host. Its methods must not be called concurrently:
// each uses all workers by itself.
type Device struct {
	pool    *parallel.Pool
	free    map[int][][]float32 // by capacity
	workers []scratch
	rows    []float32 // packed activations of the running product
	scales  []float32 // and, as integers, their scales
	live    int64     // bytes allocated and not freed
	idle    int64     // bytes freed and kept
	peak    int64

	// The operation that runs: its operands, its body, and run bound once, so
	// that an operation allocates no closure.
	op   operands
	body body
	run  func(worker, lo, hi int)

	head   head      // of the running pass over a vocabulary
	blocks []queries // of attention
	shares []share   // of its backward pass
	angles angles    // of rotary positions
	parts  []float64 // of sums
}

// scratch is one worker's private memory, grown on demand.
type scratch struct {
	panel   []float32
	panel16 []uint16
	bytes   []byte // of an embedding's row
	scores  []float32
	grads   []float32
	// of attention: gathered rows, gradients of a head
	x, dy, dk, dv []float32
	places        kernel.RowOffsets
}

// operands are those of the operation that runs: each uses what it needs.
type operands struct {
	y, x, w, s, k, v tensor.Tensor
	dy, dx, dk, dv   tensor.Tensor
	rows             []int32
	ids              []uint64
	n                int
	scale            float32 // or another number
	flag, accumulate bool
	seed             uint64
	act              kernel.Activation
	attention        tensor.Attention
	layout           *tensor.Layout
	adamW            tensor.AdamW
	each             body // of eachBlock

	table *table // of an embedding

	// of products
	weight    *weight
	packed    packed
	data      []float32 // rows, ld apart, width values each
	ld, width int
	from, to  int // outputs
	grid      grid
}

// loop runs body over [0,n) on the workers with the operands in d.op. body
// captures nothing: what it needs is in the operands.
func (d *Device) loop(n, grain int, f body) {
	d.body = f
	d.pool.For(n, grain, d.run)
	d.op = operands{} // holds on to no memory
}

// New makes a device with the given number of workers; 0 means one per core.
func New(threads int) *Device {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := &Device{pool: parallel.New(threads), free: map[int][][]float32{}, workers: make([]scratch, threads)}
	d.run = func(worker, lo, hi int) { d.body(d, &d.op, worker, lo, hi) }
	return d
}

// Close ends the device's workers.
func (d *Device) Close() { d.pool.Close() }

// Name implements tensor.Device.
func (d *Device) Name() string {
	return fmt.Sprintf("cpu (%s kernels, %d threads)", cpu.Current(), d.pool.Workers())
}

// Peak returns the most memory, in bytes, that tensors have taken at once.
// Packed weights are not counted.
func (d *Device) Peak() int64 { return d.peak }

// alignment is a cache line, in float32 values.
const alignment = 16

// class rounds a length up to a capacity: eight steps an octave, so that
// freed memory is found again by tensors of nearly the same size.
func class(n int) int {
	if n <= 64 {
		return 64
	}
	step := 1 << max(bits.Len(uint(n-1))-4, 6)
	return (n + step - 1) / step * step
}

// Alloc implements tensor.Device.
func (d *Device) Alloc(rows, cols int) tensor.Tensor {
	if rows < 0 || cols < 0 {
		panic("cpu: negative shape")
	}
	n := rows * cols
	data := d.take(class(n))
	d.live += int64(4 * cap(data))
	d.peak = max(d.peak, d.live)
	return tensor.Tensor{Rows: rows, Cols: cols, Data: data[:n]}
}

// take finds freed memory of at least c values and at most twice as many, or
// makes it.
func (d *Device) take(c int) []float32 {
	best := 0
	if len(d.free[c]) > 0 {
		best = c
	} else {
		for size, list := range d.free {
			if len(list) > 0 && size > c && size <= 2*c && (best == 0 || size < best) {
				best = size
			}
		}
	}
	if best == 0 {
		d.displace(int64(4 * c))
		return aligned(c)
	}
	list := d.free[best]
	d.free[best] = list[:len(list)-1]
	d.idle -= int64(4 * best)
	return list[len(list)-1]
}

// displace makes room for new memory: batches of ever other sizes would pile
// up freed memory of each. It lets go of the largest until no more is held
// than was once in use, and a quarter, which spares what two parts of a model
// use by turns.
func (d *Device) displace(bytes int64) {
	for d.idle > 0 && d.live+d.idle+bytes > d.peak+d.peak/4 {
		largest := 0
		for size, list := range d.free {
			if len(list) > 0 {
				largest = max(largest, size)
			}
		}
		list := d.free[largest]
		list[len(list)-1] = nil
		d.free[largest] = list[:len(list)-1]
		d.idle -= int64(4 * largest)
	}
}

// aligned allocates c values that start on a cache line.
func aligned(c int) []float32 {
	all := hugePages(make([]float32, c+alignment))
	off := 0
	if rem := int(uintptr(unsafe.Pointer(&all[0])) / 4 % alignment); rem != 0 {
		off = alignment - rem
	}
	return all[off : off+c : off+c]
}

// Free implements tensor.Device.
func (d *Device) Free(ts ...tensor.Tensor) {
	for _, t := range ts {
		if t.Data == nil {
			continue
		}
		c := cap(t.Data)
		if class(c) != c {
			panic("cpu: free of a tensor that Alloc did not make")
		}
		d.live -= int64(4 * c)
		d.idle += int64(4 * c)
		d.free[c] = append(d.free[c], t.Data)
	}
}

// grow returns a slice of at least n values, reusing s.
func grow[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n+n/4)
	}
	*s = (*s)[:cap(*s)]
	return (*s)[:n]
}

// Upload implements tensor.Device.
func (d *Device) Upload(dst tensor.Tensor, src []float32) {
	if len(src) != dst.Len() {
		panic("cpu: upload of another length")
	}
	copy(dst.Data, src)
}

// Download implements tensor.Device.
func (d *Device) Download(dst []float32, src tensor.Tensor) {
	if len(dst) != src.Len() {
		panic("cpu: download of another length")
	}
	copy(dst, src.Data)
}

// Zero implements tensor.Device.
func (d *Device) Zero(t tensor.Tensor) { clear(t.Data) }

// Copy implements tensor.Device.
func (d *Device) Copy(dst, src tensor.Tensor) {
	sameShape(dst, src)
	copy(dst.Data, src.Data)
}

func sameShape(a, b tensor.Tensor) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		panic("cpu: shapes differ")
	}
}

// grain is the smallest number of rows worth handing to a worker when a row
// costs about cost nanoseconds.
func (d *Device) grain(rows, cost int) int {
	atLeast := max(1, 20_000/max(cost, 1))
	even := (rows + 4*d.pool.Workers() - 1) / (4 * d.pool.Workers())
	return max(atLeast, even, 1)
}
