//go:build !cuda || !linux

package testdevice

import (
	"testing"

	"barka/internal/tensor"
)

func openGPU(t testing.TB) tensor.Device {
	t.Helper()
	t.Fatal("BARKA_TEST_DEVICE=cuda needs a test built with -tags cuda on Linux")
	return nil
}
