// Package testdevice opens the device that a test of models runs on: the CPU, or in builds with the
// tag cuda and with BARKA_TEST_DEVICE=cuda a GPU. The GPU is the emulated one of internal/cuda/fake, or
// a card with BARKA_GPU=card. The same reference outputs thus test every device.
package testdevice

import (
	"os"
	"testing"

	levels "barka/internal/cpu"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// OnGPU reports whether tests run on a GPU.
func OnGPU() bool { return os.Getenv("BARKA_TEST_DEVICE") == "cuda" }

// Emulated reports whether tests run on the emulated GPU, which runs some tens of small passes per second.
// Tests with many passes have fewer cases on it.
func Emulated() bool { return OnGPU() && os.Getenv("BARKA_GPU") != "card" }

// New opens a device until the test ends. The number of threads is for the CPU.
func New(t testing.TB, threads int) tensor.Device {
	t.Helper()
	if OnGPU() {
		return openGPU(t)
	}
	dev := cpu.New(threads)
	t.Cleanup(dev.Close)
	return dev
}

// Levels lists the kernel levels to test: all of the CPU's, or one on a GPU, which has none.
func Levels() []levels.Level {
	if OnGPU() {
		return levels.Levels()[:1]
	}
	return levels.Levels()
}

// Values returns the values of a tensor of a device.
func Values(dev tensor.Device, t tensor.Tensor) []float32 {
	v := make([]float32, t.Len())
	dev.Download(v, t)
	return v
}
