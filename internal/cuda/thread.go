//go:build cuda && linux

package cuda

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
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
	// The arguments of a launch lie outside of Go's memory, at fixed addresses: values, then pointers
	// to them. The driver reads them before cuLaunchKernel returns.
	values   *[maxArguments]uint64
	pointers uintptr

	failed atomic.Pointer[error]
}

func newThread(d *Driver, sync bool) (*thread, error) {
	block, err := syscall.Mmap(-1, 0, 2*maxArguments*8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	base := unsafe.Pointer(&block[0])
	t := &thread{driver: d, sync: sync, wake: make(chan struct{}, 1), values: (*[maxArguments]uint64)(base)}
	t.pointers = uintptr(base) + maxArguments*8
	pointers := (*[maxArguments]uintptr)(unsafe.Add(base, maxArguments*8))
	for i := range pointers {
		pointers[i] = uintptr(base) + uintptr(i)*8
	}
	return t, nil
}

// push returns the next free slot of the ring, locked for the caller, who calls commit after filling
// it.
func (t *thread) push() *record {
	t.fill.Lock()
	tail := t.tail.Load()
	for tail-t.head.Load() == ringSize {
		runtime.Gosched()
	}
	return &t.ring[tail%ringSize]
}

func (t *thread) commit() {
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
	*t.values = r.arguments
	f := r.kernel
	err := t.driver.call(cuLaunchKernel, f.handle, uintptr(r.gridX), uintptr(r.gridY), 1, uintptr(f.Threads), 1, 1,
		uintptr(f.Shared), r.stream.handle, t.pointers, 0)
	if err == nil && t.sync && !r.stream.capturing {
		err = t.driver.call(cuStreamSynchronize, r.stream.handle)
	}
	if e, ok := err.(*Error); ok {
		e.Kernel = f.Name
	}
	return err
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
	<-done
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
