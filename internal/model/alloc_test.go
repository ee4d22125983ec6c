package model_test

import (
	"runtime"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/tensor"
	cpudevice "barka/internal/tensor/cpu"
)

// steady returns the objects and bytes that a call of f allocates after a few calls. It is
// the minimum of several tries, because the runtime sometimes allocates too.
func steady(f func()) (objects, bytes uint64) {
	for range 3 {
		f()
	}
	objects, bytes = 1<<60, 1<<60
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		objects, bytes = min(objects, after.Mallocs-before.Mallocs), min(bytes, after.TotalAlloc-before.TotalAlloc)
	}
	return objects, bytes
}

// TestDecodeStepAllocates: a step allocates no tensors. Only a few lists grow with the
// model or the batch.
func TestDecodeStepAllocates(t *testing.T) {
	for _, name := range []string{"gemma2", "gptneox", "llama", "qwen2"} {
		m := open(t, name, 2, dtype.F32)
		dev, cache, n := m.Device(), m.NewCache(), len(m.Linears())
		const sequences, past = 8, 5
		var l tensor.Layout
		l.Starts = append(l.Starts, 0)
		p := nn.Pass{Dev: dev, Layout: &l}
		tokens := make([]int32, sequences)
		for s := range sequences {
			rows := cache.Reserve(past + 1)
			l.Keys, l.Past, l.Starts = append(l.Keys, rows), append(l.Past, past), append(l.Starts, int32(s+1))
			p.Rows = append(p.Rows, rows[past])
			tokens[s] = int32(s)
		}
		p.Positions = l.Positions()
		for i := range m.Info().Layers {
			dev.Zero(cache.Layer(i).K)
			dev.Zero(cache.Layer(i).V)
		}
		objects, bytes := steady(func() {
			h, _, err := m.Forward(&p, tokens, cache)
			if err != nil {
				t.Fatal(err)
			}
			dev.Free(h)
		})
		t.Logf("%s: %d objects, %d bytes per step of %d sequences, %d matrices", name, objects, bytes, sequences, n)
		if objects > 30 || bytes > 8000 {
			t.Errorf("%s: a step allocates %d objects, %d bytes", name, objects, bytes)
		}
	}
}

// TestTrainingStepAllocates: a step reuses the memory of the tensors of the previous one.
// Each block allocates a small struct for what it saves.
func TestTrainingStepAllocates(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) { trainingStepAllocates(t, name) })
	}
}

func trainingStepAllocates(t *testing.T, name string) {
	var want golden.Decoder
	golden.Load(t, name, &want)
	m, a := adapted(t, name)
	dev, n := m.Device(), len(m.Linears())
	a.Train(dev)
	opt := optim.New(dev, a.Params(), optim.Config{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
	tokens, layout, rows, targets := batch(want.Sequences, want.Masks, []int{0, 1, 2, 3, 4})
	positions, weights := layout.Positions(), uniform(rows, 0.1)
	var peak int64
	objects, bytes := steady(func() {
		if _, err := model.Backward(m, &nn.Pass{Dev: dev, Layout: &layout, Positions: positions}, tokens, rows, targets, weights); err != nil {
			t.Fatal(err)
		}
		opt.Step(dev, 1e-3, 1)
		a.Renew(dev)
		now := dev.(*cpudevice.Device).Peak()
		if peak != 0 && now != peak {
			t.Errorf("the peak of tensors rose from %d to %d bytes", peak, now)
		}
		peak = now
	})
	t.Logf("%d objects, %d bytes per step, %d matrices", objects, bytes, n)
	if objects > 250 || bytes > 40_000 {
		t.Errorf("a step allocates %d objects, %d bytes", objects, bytes)
	}
}
