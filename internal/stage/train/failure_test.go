package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// fullDevice has no memory for tensors of many values.
type fullDevice struct {
	*cpu.Device
	most int // values
}

func (d *fullDevice) Alloc(rows, cols int) tensor.Tensor {
	if rows*cols > d.most {
		panic(&tensor.Failure{Device: d.Name(), Operation: "Alloc", OutOfMemory: true, Err: failing.Err})
	}
	return d.Device.Alloc(rows, cols)
}

// named returns the bound of the tokens that an error names.
func named(t *testing.T, err error) (n int) {
	t.Helper()
	_, after, found := strings.Cut(fmt.Sprint(err), "--micro-tokens ")
	if _, e := fmt.Sscan(after, &n); !found || e != nil {
		t.Fatalf("%v names no --micro-tokens", err)
	}
	return n
}

// TestFullDevice: a run whose passes find too little memory names a smaller bound of their tokens.
func TestFullDevice(t *testing.T) {
	g := newGuarded(t, 6)
	dev := &fullDevice{Device: cpu.New(1)}
	t.Cleanup(dev.Close)
	in := g.in
	in.Open = func() (model.Decoder, error) {
		dev.most = 1 << 40
		m, err := in.Measure(dev, g.o.DType)
		dev.most = 1000
		return m, err
	}
	_, err := Run(context.Background(), g.o, in, durable.Env{Out: t.TempDir() + "/run", Seed: g.seed, Progress: progress.Silent})
	if !errors.Is(err, failing.Err) || named(t, err) >= 2*20 {
		t.Errorf("error %v, want a bound of less than the tokens of two rows", err)
	}
}

// TestOtherDevice: a run that began on the CPU does not continue on a GPU, nor the other way round,
// although a run of an earlier version, which recorded no type of weights, continues.
func TestOtherDevice(t *testing.T) {
	for _, c := range []struct {
		was, is string
		same    bool
	}{
		{"d1", "d1-bf16", true}, {"d1", "d1-cuda-bf16", false}, {"d1-bf16", "d1-cuda-bf16", false},
		{"d1-cuda-bf16", "d1-bf16", false}, {"d1-cuda-bf16", "d1-cuda-bf16", true},
	} {
		was, is := identity{Version: version, Model: c.was}, identity{Version: version, Model: c.is}
		if d := was.differences(is); (len(d) == 0) != c.same {
			t.Errorf("from %s to %s: %v", c.was, c.is, d)
		}
	}
}
