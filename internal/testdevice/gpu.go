//go:build cuda && linux

package testdevice

import (
	"testing"

	"barka/internal/cuda/cudatest"
	"barka/internal/tensor"
	"barka/internal/tensor/cuda"
)

func openGPU(t testing.TB) tensor.Device {
	t.Helper()
	cudatest.OneOrder(t)
	dev, err := cuda.New(cudatest.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}
