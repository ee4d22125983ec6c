//go:build cuda && linux

package cuda

import (
	"testing"

	"barka/internal/cuda/cudatest"
	"barka/internal/tensor"
	"barka/internal/tensor/conformance"
)

// open makes a device until the test ends. Each of its ranges of memory is an allocation of the
// driver, except at full size on a card: the fake driver, and compute-sanitizer, check that nothing is
// written beside it.
func open(t testing.TB) *Device {
	t.Helper()
	d, err := New(cudatest.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	d.memory.apart = !cudatest.Large()
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Each part has a device of its own, so that the fake driver has little memory to compare between the
// orders of threads.
func TestConformance(t *testing.T) {
	for _, stored := range []tensor.Type{tensor.F32, tensor.BF16} {
		for _, name := range conformance.Parts() {
			t.Run(stored.String()+"/"+name, func(t *testing.T) {
				conformance.Part(t, open(t), name, conformance.Options{Storage: stored})
			})
		}
	}
}
