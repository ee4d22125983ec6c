// Package parallel runs loops on a fixed number of workers. Nothing else in the engine
// starts goroutines.
package parallel

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"barka/internal/panics"
)

// Pool runs loops on n workers; the caller is one of them. The pool holds the running
// loop, so that a loop allocates nothing.
type Pool struct {
	n       int
	spin    int // checks before a helper sleeps
	helpers []helper
	loop    loop
	running atomic.Int64 // workers that have not finished the loop
	done    chan struct{}
	closed  atomic.Bool
}

// loop is the running loop. Workers take chunks of grain indices until none is left.
type loop struct {
	fn       func(worker, lo, hi int)
	n, grain int64
	next     atomic.Int64
	failed   atomic.Pointer[panics.Error]
}

// helper is a worker other than the caller. While it waits for a loop it first checks its
// state repeatedly and then sleeps. Loops often follow one another within microseconds, and
// waking a goroutine takes several.
type helper struct {
	state atomic.Int32
	wake  chan struct{}
	_     [48]byte // so that each helper has its own cache line
}

// The states of a helper.
const (
	idle     int32 = iota // checks its state
	sleeping              // waits for wake
	called                // has a loop to run
	busy                  // runs a loop
)

// spinChecks is how often a helper checks its state before it sleeps: about 20 µs.
const spinChecks = 20_000

// New makes a pool of n workers; n ≤ 0 means one per core.
func New(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{n: n, helpers: make([]helper, n-1), done: make(chan struct{}, 1)}
	if n <= runtime.GOMAXPROCS(0) { // otherwise spinning would keep others from running
		p.spin = spinChecks
	}
	for i := range p.helpers {
		p.helpers[i].wake = make(chan struct{}, 1)
		go p.help(&p.helpers[i], i+1)
	}
	return p
}

// Workers returns the number of workers. For passes worker numbers below it.
func (p *Pool) Workers() int { return p.n }

// Close ends the pool's goroutines. The pool must not be used afterwards.
func (p *Pool) Close() {
	p.closed.Store(true)
	for i := range p.helpers {
		p.helpers[i].call()
	}
}

// call tells a helper to run the pool's loop, or to end if the pool is closed.
func (h *helper) call() {
	if h.state.Swap(called) == sleeping {
		h.wake <- struct{}{}
	}
}

// await returns when the helper is called, and makes it busy.
func (h *helper) await(checks int) {
	for {
		for range checks + 1 {
			if h.state.Load() == called && h.state.CompareAndSwap(called, busy) {
				return
			}
		}
		if h.state.CompareAndSwap(idle, sleeping) {
			<-h.wake
		}
	}
}

// help is the goroutine of a helper.
func (p *Pool) help(h *helper, worker int) {
	debug.SetPanicOnFault(true) // work may read mapped files
	for {
		h.await(p.spin)
		if p.closed.Load() {
			return
		}
		p.loop.run(worker)
		// This precedes the count, since the next call may follow the count at once.
		h.state.Store(idle)
		if p.running.Add(-1) == 0 {
			p.done <- struct{}{}
		}
	}
}

// For calls fn for chunks [lo,hi) of at most grain indices, which together cover [0,n), and
// returns when all are done. Chunks are taken in ascending order by whichever worker is
// free, so that fn must give the same result in any order. worker is the number of the
// worker, for scratch memory. A panic of fn ends the loop, and For panics with it as a
// *panics.Error.
//
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
	// No chunk is left: helpers that have not started need not.
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

// run takes chunks until none is left. A panic empties the loop.
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
