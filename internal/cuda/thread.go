//go:build cuda && linux

package cuda

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxArguments = 24   // of a kernel
	ringSize     = 1024 // records that may wait; a power of two
	spins        = 20_000
	callerSpins  = 100_000 // some tens of microseconds: what waking a goroutine costs
)

// record is one piece of work for the thread: a launch, or a function.
type record struct {
	kernel    *Function // nil: do
	stream    *Stream
	gridX     uint32
	gridY     uint32
	arguments [maxArguments]uint64
	maps      [2]tensorMap // the first arguments of a kernel that takes them
	do        func() error
}

// thread hands records to the driver from one operating system thread. Producers fill the ring under
// a lock; the thread alone moves head.
type thread struct {
	ring   [ringSize]record
	head   atomic.Uint64
	tail   atomic.Uint64
	fill   sync.Mutex
	asleep atomic.Bool
	wake   chan struct{}

	driver *Driver
	sync   bool // BARKA_CUDA_SYNC: wait after each launch
	// The arguments of a launch lie outside of Go's memory, at fixed addresses. The driver reads them
	// before cuLaunchKernel returns.
	block    *arguments
	launches int64 // read and written on the thread alone

	failed atomic.Pointer[error]
	watch  watch
}

// tensorMap describes a bfloat16 matrix to the copy engine: rows of cols values, stride values
// from one to the next, of which boxes of box rows and 64 values are taken.
type tensorMap struct {
	base                    Pointer
	rows, cols, stride, box int
}

// arguments are the maps and values of one launch and the pointers to them.
type arguments struct {
	maps      [2][128]byte // aligned to 64, as the driver demands
	values    [maxArguments]uint64
	plain     [maxArguments]unsafe.Pointer     // to the values
	withMaps  [2 + maxArguments]unsafe.Pointer // to the maps and the values
	sizes     [2]uint64
	strides   [1]uint64
	box, step [2]uint32
}

func newThread(d *Driver, sync bool) (*thread, error) {
	memory, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(arguments{})), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	block := (*arguments)(unsafe.Pointer(&memory[0]))
	for i := range block.maps {
		block.withMaps[i] = unsafe.Pointer(&block.maps[i])
	}
	for i := range block.values {
		block.plain[i] = unsafe.Pointer(&block.values[i])
		block.withMaps[len(block.maps)+i] = unsafe.Pointer(&block.values[i])
	}
	return &thread{driver: d, sync: sync, wake: make(chan struct{}, 1), block: block, watch: newWatch()}, nil
}

// push returns the next free slot of the ring, locked for the caller, who calls commit after filling
// it.
func (t *thread) push() *record {
	t.fill.Lock()
	tail := t.tail.Load()
	var full time.Time // since when the ring has had no slot
	for tail-t.head.Load() == ringSize && !t.watch.hangs.Load() {
		if full.IsZero() {
			full = time.Now()
		} else if time.Since(full) > t.watch.most {
			t.giveUp()
		}
		runtime.Gosched()
	}
	if t.watch.hangs.Load() {
		return &t.watch.dropped
	}
	return &t.ring[tail%ringSize]
}

func (t *thread) commit() {
	if t.watch.hangs.Load() {
		t.fill.Unlock()
		return
	}
	t.tail.Add(1)
	t.fill.Unlock()
	if t.asleep.Load() {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// next waits for a record: for some microseconds by looking, then asleep.
func (t *thread) next() *record {
	head := t.head.Load()
	for i := 0; t.tail.Load() == head; i++ {
		if i < spins {
			continue
		}
		t.asleep.Store(true)
		if t.tail.Load() == head {
			<-t.wake
		}
		t.asleep.Store(false)
	}
	return &t.ring[head%ringSize]
}

// run executes records until one says that it is the last.
func (t *thread) run(last func() bool) {
	for !last() {
		r := t.next()
		if r.kernel != nil {
			if t.failed.Load() == nil {
				t.fail(t.launch(r))
			}
		} else {
			t.fail(r.do())
			r.do = nil
		}
		t.head.Add(1)
	}
}

// fail keeps the first error.
func (t *thread) fail(err error) {
	if err != nil {
		t.failed.CompareAndSwap(nil, &err)
	}
}

// err returns the first error, nil if none.
func (t *thread) err() error {
	if e := t.failed.Load(); e != nil {
		return *e
	}
	return nil
}

func (t *thread) launch(r *record) error {
	t.launches++
	f, pointers := r.kernel, unsafe.Pointer(&t.block.plain)
	t.block.values = r.arguments
	if f.Maps {
		pointers = unsafe.Pointer(&t.block.withMaps)
		for i := range r.maps {
			if err := t.encode(i, &r.maps[i]); err != nil {
				return err
			}
		}
	}
	err := t.driver.call(cuLaunchKernel, f.handle, uintptr(r.gridX), uintptr(r.gridY), 1, uintptr(f.Threads), 1, 1,
		uintptr(f.Shared), r.stream.handle, uintptr(pointers), 0)
	if err == nil && t.sync && !r.stream.capturing {
		err = t.driver.call(cuStreamSynchronize, r.stream.handle)
	}
	if e, ok := err.(*Error); ok {
		e.Kernel, e.Launch = f.Name, t.launches
	}
	return err
}

// Arguments of cuTensorMapEncodeTiled.
const (
	mapBF16       = 9
	mapSwizzle128 = 3
	mapL2By256    = 3
	mapValues     = 64 // of a box's row: 128 bytes
)

// encode writes the tensor map number i of the next launch.
func (t *thread) encode(i int, m *tensorMap) error {
	b := t.block
	b.sizes = [2]uint64{uint64(m.cols), uint64(m.rows)}
	b.strides = [1]uint64{uint64(m.stride) * 2}
	b.box, b.step = [2]uint32{mapValues, uint32(m.box)}, [2]uint32{1, 1}
	return t.driver.call(cuTensorMapEncodeTiled, uintptr(unsafe.Pointer(&b.maps[i])), mapBF16, 2, uintptr(m.base),
		uintptr(unsafe.Pointer(&b.sizes)), uintptr(unsafe.Pointer(&b.strides)), uintptr(unsafe.Pointer(&b.box)),
		uintptr(unsafe.Pointer(&b.step)), 0, mapSwizzle128, mapL2By256, 0)
}

// wait runs f on the thread after all that was recorded before, and returns f's error, or the GPU's
// if it has failed. f must not wait itself.
func (t *thread) wait(f func() error) error {
	var err error
	var finished atomic.Bool
	done := make(chan struct{})
	r := t.push()
	r.kernel = nil
	r.do = func() error {
		if err = t.err(); err == nil {
			err = f()
		}
		finished.Store(true)
		close(done)
		return nil
	}
	t.commit()
	for i := 0; i < callerSpins; i++ {
		if finished.Load() {
			return err
		}
	}
	if !t.await(done) {
		return t.err()
	}
	return err
}

// later runs f on the thread after all that was recorded before, without waiting; its error ends the
// GPU.
func (t *thread) later(f func() error) {
	r := t.push()
	r.kernel = nil
	r.do = func() error {
		if t.err() != nil {
			return nil
		}
		return f()
	}
	t.commit()
}
