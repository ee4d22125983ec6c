package train

import (
	"context"
	"strings"
	"testing"

	"barka/internal/durable"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// laterDevice is a device whose sums are not known when the operation returns. Its log has a
// letter for each operation and each result that is read: l and L for losses, n and N for norms,
// and u for updates.
type laterDevice struct {
	*cpu.Device
	log strings.Builder
}

func (d *laterDevice) later(operation, read string, v tensor.Value) tensor.Value {
	d.log.WriteString(operation)
	return tensor.Later(func() float64 {
		d.log.WriteString(read)
		return v.Get()
	})
}

func (d *laterDevice) Dot(x, weights tensor.Tensor) tensor.Value {
	return d.later("l", "L", d.Device.Dot(x, weights))
}

func (d *laterDevice) SumSquares(ts ...tensor.Tensor) tensor.Value {
	return d.later("n", "N", d.Device.SumSquares(ts...))
}

func (d *laterDevice) Update(ps []tensor.Param, scale float32, o tensor.AdamW) {
	d.log.WriteString("u")
	d.Device.Update(ps, scale, o)
}

// TestStepWaitsOnce: a step gives the device all its passes and the norm before it reads a
// result, and reads each once. The run's losses are those of a device that computes at once.
func TestStepWaitsOnce(t *testing.T) {
	g := newGuarded(t, 6)
	g.o.Batch, g.o.MicroTokens, g.o.Epochs = 6, 60, 2
	host := cpu.New(2)
	t.Cleanup(host.Close)
	dev := &laterDevice{Device: host}
	run := func(out string, in Input) *State {
		s, err := Run(context.Background(), g.o, in, durable.Env{Out: out, Seed: g.seed, Progress: progress.Silent})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := run(t.TempDir()+"/plain", g.in)
	in := g.in
	in.Open = func() (model.Decoder, error) { return g.in.Measure(dev, g.o.DType) }
	got := run(t.TempDir()+"/later", in)
	if got.FinalLoss != want.FinalLoss || got.Steps != 2 {
		t.Errorf("%d steps, loss %v; want 2, %v", got.Steps, got.FinalLoss, want.FinalLoss)
	}
	steps := strings.SplitAfter(dev.log.String(), "u")
	passes := strings.Count(steps[0], "l")
	step := strings.Repeat("l", passes) + "n" + strings.Repeat("L", passes) + "Nu"
	if log := dev.log.String(); passes < 2 || log != step+step {
		t.Errorf("the device was used in the order %s, want %s twice", log, step)
	}
}
