package cpu_test

import (
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

var _ tensor.Device = (*cpu.Device)(nil)

func TestFreedMemoryIsReused(t *testing.T) {
	d := cpu.New(1)
	defer d.Close()
	a := d.Alloc(10, 100)
	d.Free(a)
	b := d.Alloc(100, 10)
	if &a.Data[0] != &b.Data[0] {
		t.Error("a tensor of the same size got other memory")
	}
	d.Free(b, tensor.Tensor{})
}
