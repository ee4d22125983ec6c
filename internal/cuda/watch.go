//go:build cuda && linux

package cuda

import (
	"fmt"
	"sync/atomic"
	"time"
)

// How long a caller waits for a GPU before the wait is told, and before the GPU is given up.
var (
	slowWait = 2 * time.Minute
	mostWait = 10 * time.Minute
)

// watch ends waits for a GPU that does not answer. The driver's call stays where it is, and its
// thread with it; nothing is handed to either any more.
type watch struct {
	slow, most time.Duration
	tell       atomic.Pointer[func(time.Duration)]
	hangs      atomic.Bool
	dropped    record // takes what is recorded after that
}

func newWatch() watch { return watch{slow: slowWait, most: mostWait} }

// OnSlow sets what is called in a caller that has waited long, with the time, while it goes on waiting.
func (g *GPU) OnSlow(tell func(waited time.Duration)) { g.thread.watch.tell.Store(&tell) }

// await waits until done is closed, and returns false if the GPU has been given up.
func (t *thread) await(done <-chan struct{}) bool {
	if t.watch.hangs.Load() {
		return false
	}
	timer := time.NewTimer(t.watch.slow)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	}
	if tell := t.watch.tell.Load(); tell != nil {
		(*tell)(t.watch.slow)
	}
	timer.Reset(t.watch.most - t.watch.slow)
	select {
	case <-done:
		return true
	case <-timer.C:
	}
	t.giveUp()
	return false
}

// giveUp ends the GPU, which has not answered for too long.
func (t *thread) giveUp() {
	t.fail(fmt.Errorf("GPU: no answer for %s. Its work hangs, or another program keeps it busy (see nvidia-smi); "+
		"BARKA_CUDA_SYNC=1 names the kernel", t.watch.most))
	t.watch.hangs.Store(true)
}
