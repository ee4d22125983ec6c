package main

import (
	"runtime"
	"testing"
)

// TestThreadsAsTheHelpSays: 0 threads are one per core for the stages' workers
// too.
func TestThreadsAsTheHelpSays(t *testing.T) {
	for threads, want := range map[int]int{0: runtime.GOMAXPROCS(0), 1: 1, 7: 7} {
		a := &app{globals: globals{Threads: threads}}
		if got := a.workers(); got != want {
			t.Errorf("--threads %d: %d workers, want %d", threads, got, want)
		}
	}
}
