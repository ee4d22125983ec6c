package parallel

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/panics"
)

func TestForCoversEveryIndexOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		p := New(workers)
		for _, n := range []int{0, 1, 2, 7, 100, 1000} {
			for _, grain := range []int{0, 1, 3, 64, 2000} {
				seen := make([]atomic.Int32, n)
				p.For(n, grain, func(worker, lo, hi int) {
					if worker < 0 || worker >= workers {
						t.Errorf("worker %d of %d", worker, workers)
					}
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if c := seen[i].Load(); c != 1 {
						t.Fatalf("workers %d n %d grain %d: index %d ran %d times", workers, n, grain, i, c)
					}
				}
			}
		}
		p.Close()
	}
}

func TestForPassesPanicsOn(t *testing.T) {
	p := New(3)
	defer p.Close()
	defer func() {
		if e, ok := recover().(*panics.Error); !ok || e.Value != "boom" || !strings.Contains(string(e.Stack), "TestForPassesPanicsOn") {
			t.Errorf("recovered %v, want boom and its stack", e)
		}
		ran := atomic.Int32{}
		p.For(10, 1, func(_, lo, hi int) { ran.Add(1) })
		if ran.Load() != 10 {
			t.Error("the pool is broken after a panic")
		}
	}()
	p.For(100, 1, func(_, lo, hi int) {
		if lo == 42 {
			panic("boom")
		}
	})
}

// TestForAgainAndAgain: loops of all kinds in quick succession and with pauses
// long enough for workers to sleep; results written by workers are seen.
func TestForAgainAndAgain(t *testing.T) {
	for _, workers := range []int{2, 3, 8} {
		p := New(workers)
		sums := make([]int, 64)
		for turn := range 3000 {
			n := 1 + turn%64
			p.For(n, 1+turn%3, func(_, lo, hi int) {
				for i := lo; i < hi; i++ {
					sums[i] = i + turn
				}
			})
			for i := range n {
				if sums[i] != i+turn {
					t.Fatalf("%d workers, loop %d: index %d not written", workers, turn, i)
				}
			}
			if turn%1000 == 999 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		p.Close()
	}
}

func TestForDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	fn := func(_, lo, hi int) {}
	if n := testing.AllocsPerRun(100, func() { p.For(8, 1, fn) }); n != 0 {
		t.Errorf("a loop allocates %g times", n)
	}
}

func BenchmarkFor(b *testing.B) {
	p := New(0)
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		p.For(8, 1, func(_, lo, hi int) {})
	}
}

// BenchmarkForWork shares out some microseconds of work, with a pause between
// loops as operations have.
func BenchmarkForWork(b *testing.B) {
	p := New(0)
	defer p.Close()
	x := make([]float64, 8<<10)
	for b.Loop() {
		for i := range 1000 {
			x[i]++
		}
		p.For(8, 1, func(_, lo, hi int) {
			for i := lo << 10; i < hi<<10; i++ {
				x[i] = x[i]*0.5 + 1
			}
		})
	}
}
