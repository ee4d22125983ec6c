//go:build cuda && linux

package cuda

import "barka/internal/cuda/kernels"

// FakeFunction returns a kernel of the fake driver that no table has.
func (g *GPU) FakeFunction(name string, k kernels.Kernel) (*Function, error) {
	module, err := g.loadModule([]byte("// the fake driver has its kernels in every module"))
	if err != nil {
		return nil, err
	}
	return g.function(module, name, k)
}
