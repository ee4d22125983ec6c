// Package cpu is the tensor.Device of the host: it runs package kernel on the
// workers of package parallel. No result depends on the number of workers.
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

// Device computes on the host. Its methods must not be called concurrently: each of
// them uses all workers.
type Device struct {
	pool    *parallel.Pool
	free    map[int][][]float32 // by capacity
	workers []scratch
	rows    []float32 // packed activations of the running product
	live    int64     // bytes allocated and not freed
	idle    int64     // bytes freed and kept
	peak    int64     // the most live bytes so far
	larger  bool      // freed memory serves smaller tensors of any size

	// The running operation: its operands and its body. run calls the body and is
	// made once, so that an operation allocates no closure.
	op   operands
	body body
	run  func(worker, lo, hi int)

	head      head      // the running pass over a vocabulary
	rescore   rescore   // what the pass chose, if it is a screen
	queries   []queries // the blocks of the running attention
	keyRanges []keyRange
	angles    angles    // of rotary positions
	sums      []float64 // of blocks of values
}

// scratch is one worker's private memory, grown on demand.
type scratch struct {
	panel   []float32
	panel16 []uint16
	bytes   []byte // a row of an embedding
	scores  []float32
	grads   []float32
	// of attention: gathered rows, and gradients of a head
	x, dy, dk, dv []float32
	keys, values  keptPanels
	gradValues    keptPanels // values transposed, for the gradients of probabilities
	offsets       kernel.RowOffsets
}

// operands are those of the running operation. Each family of operations has its
// own struct; exactly the running one's is set.
type operands struct {
	blocks     blockOperands
	rows       rowOperands
	heads      headOperands
	values     valueOperands
	columns    columnOperands
	activation activationOperands
	dropout    dropoutOperands
	update     updateOperands
	norm       normOperands
	addNorm    addNormOperands
	rotation   rotationOperands
	embedding  embeddingOperands
	packing    packingOperands
	grid       grid
	product    productOperands
	productT   productTOperands
	unrotate   unrotateOperands
	gradWeight gradWeightOperands
	repack     repackOperands
	attention  attentionOperands
	gradient   gradientOperands
}

// loop runs f over [0,n) on the workers. f captures nothing: it reads d.op, where
// the caller has put its operands.
func (d *Device) loop(n, grain int, f body) {
	d.body = f
	d.pool.For(n, grain, d.run)
	d.op = operands{} // so that no memory is kept alive
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

// Workers returns the number of workers.
func (d *Device) Workers() int { return d.pool.Workers() }

// Trim drops the memory of freed tensors, which is otherwise kept for later ones, before
// work of other sizes. Peak begins again.
func (d *Device) Trim() {
	clear(d.free)
	d.idle, d.peak = 0, d.live
}

// Peak returns the most memory that tensors have taken at once, in bytes. It does
// not count packed weights.
func (d *Device) Peak() int64 { return d.peak }

// Live returns the memory of the tensors that have not been freed, in bytes.
func (d *Device) Live() int64 { return d.live }

// Held returns the memory of all tensors, live and freed, in bytes.
func (d *Device) Held() int64 { return d.live + d.idle }

// alignment is a cache line, in float32 values.
const alignment = 16

// class rounds a length up to a capacity, of which there are eight per power of two.
// A tensor can then reuse the freed memory of one of nearly the same size.
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
		panic("cpu: Alloc: negative shape")
	}
	n := rows * cols
	data := d.take(class(n))
	d.live += int64(4 * cap(data))
	d.peak = max(d.peak, d.live)
	return tensor.Tensor{Rows: rows, Cols: cols, Data: data[:n]}
}

// AllocAs implements tensor.Device.
func (d *Device) AllocAs(rows, cols int, t tensor.Type) tensor.Tensor {
	checkType(t)
	return d.Alloc(rows, cols)
}

// OperandType implements tensor.Device. Products pack their operands as they need them.
func (d *Device) OperandType(tensor.Weight) tensor.Type { return tensor.F32 }

func checkType(t tensor.Type) {
	if t != tensor.F32 {
		panic("cpu: tensors are F32")
	}
}

// ReuseLarger makes freed memory serve smaller tensors of any size, not only those of at
// least half its size. It is for passes of one model that differ in their tokens alone: after
// the largest pass nothing new is allocated.
func (d *Device) ReuseLarger() { d.larger = true }

// fit returns the smallest size of at least c that has freed memory, or 0. Unless larger is
// set, it is at most 2c.
func fit[T any](free map[int][]T, c int, larger bool) (best int) {
	if len(free[c]) > 0 {
		return c
	}
	for size, list := range free {
		if len(list) > 0 && size > c && (larger || size <= 2*c) && (best == 0 || size < best) {
			best = size
		}
	}
	return best
}

// take returns freed memory of at least c values, or new memory.
func (d *Device) take(c int) []float32 {
	best := fit(d.free, c, d.larger)
	if best == 0 {
		d.displace(int64(4 * c))
		return aligned(c)
	}
	list := d.free[best]
	d.free[best] = list[:len(list)-1]
	d.idle -= int64(4 * best)
	return list[len(list)-1]
}

// displace drops idle buffers, largest first, until live and idle memory with the
// new bytes are at most 1.25 times the peak. Without it, batches of changing size
// would leave one idle buffer of every size. The extra quarter keeps the buffers
// that two parts of a model use alternately.
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

// Grow implements tensor.Device.
func (d *Device) Grow(t tensor.Tensor, used, rows, cols int, typ tensor.Type) tensor.Tensor {
	checkType(typ)
	grown := d.Alloc(rows, cols)
	if used > 0 {
		d.Copy(grown.Slice(0, used), t.Slice(0, used))
	}
	d.Free(t)
	return grown
}

// Back implements tensor.Device. The operating system gives pages to rows that are written.
func (d *Device) Back(tensor.Tensor, int) {}

// Free implements tensor.Device.
func (d *Device) Free(ts ...tensor.Tensor) {
	for _, t := range ts {
		if t.Data == nil {
			continue
		}
		c := cap(t.Data)
		if class(c) != c {
			panic("cpu: Free: the tensor was not made by Alloc")
		}
		d.live -= int64(4 * c)
		d.idle += int64(4 * c)
		d.free[c] = append(d.free[c], t.Data)
	}
}

// grow returns the first n values of s, which it enlarges if necessary.
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
		panic("cpu: Upload: the lengths differ")
	}
	copy(dst.Data, src)
}

// Download implements tensor.Device.
func (d *Device) Download(dst []float32, src tensor.Tensor) {
	if len(dst) != src.Len() {
		panic("cpu: Download: the lengths differ")
	}
	copy(dst, src.Data)
}

// Replay implements tensor.Device. There is nothing to save.
func (d *Device) Replay(_ any, b tensor.Batch, f func(tensor.Batch) tensor.Tensor) tensor.Tensor {
	return f(d.Prepare(b))
}

// Prepare implements tensor.Device. Operations read the lists where they are.
func (d *Device) Prepare(b tensor.Batch) tensor.Batch { return b }

// Zero implements tensor.Device.
func (d *Device) Zero(t tensor.Tensor) { clear(t.Data) }

// Copy implements tensor.Device.
func (d *Device) Copy(dst, src tensor.Tensor) {
	sameShape(dst, src)
	copy(dst.Data, src.Data)
}

// sameShape panics unless a and b have the same shape.
func sameShape(a, b tensor.Tensor) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		panic("cpu: the operands have different shapes")
	}
}

// grain returns the number of rows to give to a worker at a time when a row costs
// about cost nanoseconds: at least 20 µs of work, and four chunks per worker.
func (d *Device) grain(rows, cost int) int {
	atLeast := max(1, 20_000/max(cost, 1))
	even := (rows + 4*d.pool.Workers() - 1) / (4 * d.pool.Workers())
	return max(atLeast, even, 1)
}
