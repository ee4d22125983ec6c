//go:build cuda && linux

package cuda_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
)

// TestHangs: a long wait is told, and one too long ends the GPU. Nobody waits for it any more, whether
// they want a result or record more work than it takes.
func TestHangs(t *testing.T) {
	defer cuda.Patience(50*time.Millisecond, 200*time.Millisecond)()
	for name, work := range map[string]func(g *cuda.GPU, k *cuda.Kernels) error{
		"result": func(g *cuda.GPU, _ *cuda.Kernels) error { return g.Synchronize() },
		"work": func(g *cuda.GPU, k *cuda.Kernels) error {
			go g.Synchronize()
			for g.Err() == nil { // until the ring is full, and then until the GPU is given up
				g.Compute.Launch(k.Function("nothing"), 1, 1, 0)
			}
			return g.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			cudatest.Library(t)
			d, err := cuda.Load()
			if err != nil {
				t.Fatal(err)
			}
			g, err := d.Open(0)
			if err != nil {
				t.Fatal(err)
			}
			k, err := g.LoadKernels()
			if err != nil {
				t.Fatal(err)
			}
			var told atomic.Int64
			g.OnSlow(func(waited time.Duration) { told.Store(int64(waited)) })
			cudatest.Plant(t, "hang", 1500)
			start := time.Now()
			if err := work(g, k); err == nil || !strings.Contains(err.Error(), "no answer for 200ms") {
				t.Errorf("%v", err)
			}
			if time.Duration(told.Load()) != 50*time.Millisecond {
				t.Errorf("told of %s", time.Duration(told.Load()))
			}
			if _, err := g.Alloc(8); err == nil {
				t.Error("a GPU that hangs works on")
			}
			if err := g.Close(); err == nil {
				t.Error("no error at the end")
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %s to give up", took)
			}
			time.Sleep(2 * time.Second) // the driver's call ends before its state is reset
		})
	}
}
