package model_test

import (
	"errors"
	"math"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
	"barka/internal/tensor/failing"
)

// failures runs work on a device that fails after every number of operations. Each error must
// be the device's.
func failures(t *testing.T, what string, dev *failing.Device, work func() error) {
	t.Helper()
	errs := dev.Until(work)
	for n, err := range errs {
		if f := (*tensor.Failure)(nil); !errors.As(err, &f) || !errors.Is(err, failing.Err) {
			t.Fatalf("%s, failure after %d operations: error %v, want that of the device", what, n, err)
		}
	}
	if len(errs) < 3 {
		t.Errorf("%s can fail in %d places", what, len(errs))
	}
}

// TestFailingDevice: a device that cannot go on is an error of every function that uses it, at
// whichever operation that happens. Without the failure the same objects work on.
func TestFailingDevice(t *testing.T) {
	host := cpu.New(1)
	t.Cleanup(host.Close)
	dev := &failing.Device{Device: host, After: -1}
	var m model.Decoder
	failures(t, "OpenDecoder", dev, func() (err error) {
		m, err = model.OpenDecoder(golden.Dir("gemma2"), model.Options{Device: dev, DType: dtype.F32})
		return err
	})
	failures(t, "LoadAdapter", dev, func() (err error) {
		_, err = model.LoadAdapter(m, golden.Dir("gemma2")+"/adapter")
		return err
	})
	var want golden.Decoder
	golden.Load(t, "gemma2", &want)
	tokens, layout, rows, targets := batch(want.Sequences, want.Masks, []int{0, 1})
	pass := func() *nn.Pass { return &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions()} }
	before, err := model.Loss(m, pass(), tokens, rows, targets)
	if err != nil {
		t.Fatal(err)
	}
	failures(t, "Forward", dev, func() error {
		_, _, err := m.Forward(pass(), tokens, nil)
		return err
	})
	failures(t, "Loss", dev, func() error {
		_, err := model.Loss(m, pass(), tokens, rows, targets)
		return err
	})
	failures(t, "Backward", dev, func() error {
		_, err := model.Backward(m, pass(), tokens, rows, targets, uniform(rows, 1))
		return err
	})
	if after, err := model.Loss(m, pass(), tokens, rows, targets); err != nil || after != before || math.IsNaN(after) {
		t.Errorf("after the failures the loss is %g (%v), before it was %g", after, err, before)
	}
}

// TestGuardLetsOthersGo: a mistake of the program stays a panic.
func TestGuardLetsOthersGo(t *testing.T) {
	defer func() {
		if r := recover(); r != "a mistake" {
			t.Errorf("recovered %v", r)
		}
	}()
	func() (err error) {
		defer tensor.Guard(&err)
		panic("a mistake")
	}()
}
