//go:build cuda && linux

package cuda

import (
	"testing"

	"barka/internal/cuda/cudatest"
	"barka/internal/tensor/conformance"
)

// open makes a device until the test ends. Each of its ranges of memory is an allocation of the
// driver: the fake one checks that nothing is written beside it.
func open(t testing.TB) *Device {
	t.Helper()
	d, err := New(cudatest.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	d.memory.apart = !cudatest.OnCard()
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// passing are the parts of the suite whose operations exist.
var passing = []string{
	"Columns", "ScatterAdd", "Embed", "AddRows", "RMSNorm", "AddRMSNorm", "LayerNorm", "Rotate", "SplitHeads",
	"Attend", "AttendBackward", "AttendShared", "AttendAlone", "Activate", "Gate", "Elementwise", "Dropout", "GatherScatter",
	"MatMul", "MatMulT", "GradWeight", "Pack", "Unpack", "Select", "Screen",
	"Trains", "CrossEntropy", "LogProbs", "HeadTypes", "TopK", "Optimiser",
}

func TestConformance(t *testing.T) {
	for _, name := range passing {
		t.Run(name, func(t *testing.T) { conformance.Part(t, open(t), name) })
	}
}
