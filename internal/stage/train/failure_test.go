package train

import (
	"context"
	"errors"
	"testing"

	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tensor/failing"
)

// TestFailingDevice: when the device fails, at the start or in a step, the run ends with its
// error and keeps its last checkpoint. With a device that works, the same command ends with the
// loss of an undisturbed run.
func TestFailingDevice(t *testing.T) {
	g := newGuarded(t, 6)
	g.o.SaveSteps = 1
	host := cpu.New(2)
	t.Cleanup(host.Close)
	run := func(out string, dev tensor.Device) (*State, error) {
		in := g.in
		if dev != nil {
			in.Open = func() (model.Decoder, error) { return in.Measure(dev, g.o.DType) }
		}
		return Run(context.Background(), g.o, in, durable.Env{Out: out, Seed: g.seed, Progress: progress.Silent})
	}
	want, err := run(t.TempDir()+"/whole", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, failed := t.TempDir()+"/run", 0
	for _, after := range []int{0, 40, 300, 900} {
		_, err := run(out, &failing.Device{Device: host, After: after})
		if f := (*tensor.Failure)(nil); err != nil && !errors.As(err, &f) {
			t.Fatalf("failure after %d operations: error %v, want that of the device", after, err)
		}
		if err != nil {
			failed++
		}
	}
	got, err := run(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if failed < 3 || got.FinalLoss != want.FinalLoss || got.Steps != want.Steps {
		t.Errorf("after %d failures: %d steps, loss %v; want %d, %v", failed, got.Steps, got.FinalLoss, want.Steps, want.FinalLoss)
	}
}
