// Package parallel runs loops on a fixed number of workers. It is the only
// place of the compute engine that starts goroutines.
package parallel

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"barka/internal/panics"
)

// Pool runs loops on up to n workers, the caller being one of them. A loop
// allocates nothing: the pool holds the one that runs.
type Pool struct {
	n       int
	spin    int
	helpers []helper
	loop    loop
	running atomic.Int64 // workers that take part in the loop
	done    chan struct{}
	closed  atomic.Bool
}

// loop is what workers take chunks of grain indices from until none is left.
type loop struct {
	fn       func(worker, lo, hi int)
	n, grain int64
	next     atomic.Int64
	failed   atomic.Pointer[panics.Error]
}

// helper is a worker beside the caller. Waiting for a loop it first looks at
// its state for a while, since loops follow one another within microseconds
// and waking a goroutine takes several, and then sleeps.
type helper struct {
	state atomic.Int32
	wake  chan struct{}
	_     [48]byte // a cache line each
}

const (
	idle     int32 = iota // looking
	sleeping              // waiting for wake
	called                // has a loop to run
	busy                  // runs it
)

// spinTurns is how often a worker looks before it sleeps: about 20 µs.
const spinTurns = 20_000

// New makes a pool of n workers; n ≤ 0 means one per core.
func New(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{n: n, helpers: make([]helper, n-1), done: make(chan struct{}, 1)}
	if n <= runtime.GOMAXPROCS(0) { // else looking keeps others from running
		p.spin = spinTurns
	}
	for i := range p.helpers {
		p.helpers[i].wake = make(chan struct{}, 1)
		go p.help(&p.helpers[i], i+1)
	}
	return p
}

// Workers returns the number of workers, the bound of the worker argument
// that For passes.
func (p *Pool) Workers() int { return p.n }

// Close ends the pool's goroutines; the pool must not be used afterwards.
func (p *Pool) Close() {
	p.closed.Store(true)
	for i := range p.helpers {
		p.helpers[i].call()
	}
}

// call gives a helper something to do.
func (h *helper) call() {
	if h.state.Swap(called) == sleeping {
		h.wake <- struct{}{}
	}
}

// await returns when the helper has taken up a call.
func (h *helper) await(turns int) {
	for {
		for range turns + 1 {
			if h.state.Load() == called && h.state.CompareAndSwap(called, busy) {
				return
			}
		}
		if h.state.CompareAndSwap(idle, sleeping) {
			<-h.wake
		}
	}
}

func (p *Pool) help(h *helper, worker int) {
	debug.SetPanicOnFault(true) // work may read mapped files
	for {
		h.await(p.spin)
		if p.closed.Load() {
			return
		}
		p.loop.run(worker)
		// Before the count: the next call may follow at once.
		h.state.Store(idle)
		if p.running.Add(-1) == 0 {
			p.done <- struct{}{}
		}
	}
}

// For calls fn for chunks [lo,hi) of at most grain indices that together
// cover [0,n). Chunks go, in rising order, to whichever worker is free, so fn
// must give the same result in any order; worker numbers the caller's scratch
// space. For returns when all chunks are done. A panic of fn ends the loop, and
// For panics with it as a *panics.Error.
// Calls must be neither nested nor concurrent.
func (p *Pool) For(n, grain int, fn func(worker, lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	chunks := (n + grain - 1) / grain
	if chunks == 1 || p.n == 1 {
		for lo := 0; lo < n; lo += grain {
			fn(0, lo, min(lo+grain, n))
		}
		return
	}
	l := &p.loop
	l.fn, l.n, l.grain = fn, int64(n), int64(grain)
	l.next.Store(0)
	helpers := min(p.n, chunks) - 1
	p.running.Store(int64(helpers) + 1)
	for i := range helpers {
		p.helpers[i].call()
	}
	l.run(0)
	// Nothing is left: who has not come yet need not.
	late := int64(1)
	for i := range helpers {
		if p.helpers[i].state.CompareAndSwap(called, idle) {
			late++
		}
	}
	if p.running.Add(-late) != 0 {
		for i := 0; i < p.spin && p.running.Load() != 0; i++ {
		}
		<-p.done
	}
	l.fn = nil
	if e := l.failed.Swap(nil); e != nil {
		panic(e)
	}
}

func (l *loop) run(worker int) {
	defer func() {
		if r := recover(); r != nil {
			l.failed.CompareAndSwap(nil, panics.Of(r))
			l.next.Store(l.n)
		}
	}()
	for {
		lo := l.next.Add(l.grain) - l.grain
		if lo >= l.n {
			return
		}
		l.fn(worker, int(lo), int(min(lo+l.grain, l.n)))
	}
}
