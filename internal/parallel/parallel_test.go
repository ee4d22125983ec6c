package parallel

import (
	"sync/atomic"
	"testing"
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
		if r := recover(); r != "boom" {
			t.Errorf("recovered %v, want boom", r)
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

func BenchmarkFor(b *testing.B) {
	p := New(0)
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		p.For(8, 1, func(_, lo, hi int) {})
	}
}
