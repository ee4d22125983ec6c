package backend

import (
	"errors"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/golden"
	"barka/internal/tensor/cpu"
)

// someGPU is the CPU under another name, with memory of its own.
type someGPU struct {
	*cpu.Device
	free, total int64
	err         error
}

func (g *someGPU) Kind() string                    { return "cuda" }
func (g *someGPU) Memory() (int64, int64, error)   { return g.free, g.total, g.err }
func (g *someGPU) Workspace(_, _, vocab int) int64 { return int64(vocab) }
func (g *someGPU) PassTokens() int                 { return 16384 }

// On a GPU a model is measured against the GPU's memory, and what would fit is named.
func TestFitsOnGPU(t *testing.T) {
	dir := golden.Dir("gemma2")
	values, err := countValues(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		gpu  someGPU
		want []string // of the error, none if the model fits
	}{
		{someGPU{free: 5 * values, total: 6 * values}, nil},
		{someGPU{err: errors.New("lost")}, nil}, // the next operation reports it
		{someGPU{free: 5*values - values/100, total: 100 * values},
			[]string{"of the GPU's memory as F32 (weights", "other programs may have the rest", "--dtype bf16", "--device cpu"}},
		{someGPU{free: 5 * values / 2, total: 5 * values / 2}, []string{"are free. Use --dtype int8"}},
		{someGPU{free: values, total: values}, []string{"are free. Use a smaller model"}},
	} {
		e := NewEngine(1, "f32", nil)
		c.gpu.Device = cpu.New(1)
		e.On(&c.gpu)
		o, err := e.options(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = e.fits(dir, o)
		if (err == nil) != (c.want == nil) || err != nil && !badinput.Is(err) {
			t.Fatalf("%d of %d bytes: %v", c.gpu.free, c.gpu.total, err)
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v\nwant %s", err, w)
			}
		}
	}
}

// The results of a GPU are not taken for those of the CPU.
func TestDigestNamesTheDevice(t *testing.T) {
	host, e := NewEngine(1, "f32", nil), NewEngine(1, "f32", nil)
	gpu := &someGPU{Device: cpu.New(1), free: 7 << 30, total: 8 << 30}
	e.On(gpu)
	on, err := host.Digest(golden.Dir("gemma2"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := e.Digest(golden.Dir("gemma2"))
	if err != nil {
		t.Fatal(err)
	}
	content, dtype, _ := strings.Cut(on, "-")
	if other != content+"-cuda-"+dtype {
		t.Errorf("digests %s and %s", on, other)
	}
	if e.Available() != gpu.free || e.MemoryLimit() != gpu.free || e.Host() == e.Device || host.Host() != host.Device {
		t.Error("the engine does not see the GPU's memory, or has no device of the host")
	}
}
