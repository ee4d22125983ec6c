//go:build cuda && linux

package cuda

import (
	"time"

	"barka/internal/cuda/kernels"
)

// Patience makes GPUs that are opened from now on wait no longer, until the result is called.
func Patience(slow, most time.Duration) (restore func()) {
	before := [2]time.Duration{slowWait, mostWait}
	slowWait, mostWait = slow, most
	return func() { slowWait, mostWait = before[0], before[1] }
}

// FakeFunction returns a kernel of the fake driver that no table has.
func (g *GPU) FakeFunction(name string, k kernels.Kernel) (*Function, error) {
	module, err := g.loadModule([]byte("// the fake driver has its kernels in every module"))
	if err != nil {
		return nil, err
	}
	return g.function(module, name, k)
}
