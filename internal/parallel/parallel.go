// Package parallel runs loops on a fixed number of workers. It is the only
// place of the compute engine that starts goroutines.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs loops on up to n workers, the caller being one of them.
type Pool struct {
	n    int
	jobs chan *job
}

// job is one loop: chunks of grain indices are taken until none is left.
type job struct {
	fn       func(worker, lo, hi int)
	n, grain int64
	next     atomic.Int64
	ids      atomic.Int64
	wait     sync.WaitGroup
	failed   atomic.Pointer[failure]
}

type failure struct{ value any }

// New makes a pool of n workers; n ≤ 0 means one a core.
func New(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{n: n, jobs: make(chan *job, n)}
	for range n - 1 {
		go func() {
			for j := range p.jobs {
				j.run()
				j.wait.Done()
			}
		}()
	}
	return p
}

// Workers returns the number of workers, the bound of the worker argument
// that For passes.
func (p *Pool) Workers() int { return p.n }

// Close ends the pool's goroutines; the pool must not be used afterwards.
func (p *Pool) Close() { close(p.jobs) }

// For calls fn for chunks [lo,hi) of at most grain indices that together
// cover [0,n). Chunks go to whichever worker is free, so fn must give the
// same result in any order; worker numbers the caller's scratch space. For
// returns when all chunks are done, and passes a panic of fn on. Calls must
// not be nested.
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
	j := &job{fn: fn, n: int64(n), grain: int64(grain)}
	helpers := min(p.n, chunks) - 1
	j.wait.Add(helpers)
	for range helpers {
		p.jobs <- j
	}
	j.run()
	j.wait.Wait()
	if f := j.failed.Load(); f != nil {
		panic(f.value)
	}
}

func (j *job) run() {
	defer func() {
		if r := recover(); r != nil {
			j.failed.CompareAndSwap(nil, &failure{r})
			j.next.Store(j.n)
		}
	}()
	worker := int(j.ids.Add(1)) - 1
	for {
		lo := j.next.Add(j.grain) - j.grain
		if lo >= j.n {
			return
		}
		j.fn(worker, int(lo), int(min(lo+j.grain, j.n)))
	}
}
