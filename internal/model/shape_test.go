package model_test

import (
	"fmt"
	"testing"

	"barka/internal/dtype"
	"barka/internal/golden"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/nn"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// TestShape: the shape read without the weights equals that of the opened model, and a pass
// takes the estimated memory, for every architecture and type.
func TestShape(t *testing.T) {
	for _, name := range golden.Decoders {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
			s, err := model.MeasureDecoder(golden.Dir(name), dt)
			if err != nil {
				t.Fatal(err)
			}
			dev := cpu.New(1)
			m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			named := map[string]bool{}
			for _, l := range s.Linears {
				named[fmt.Sprint(l.Name, l.N, l.K)] = true
			}
			for _, l := range m.Linears() {
				if n, k := l.Dims(); len(named) != len(m.Linears()) || !named[fmt.Sprint(l.Name, n, k)] {
					t.Errorf("%s: %d linear layers without %s, the model has %d", name, len(named), l.Name, len(m.Linears()))
				}
			}
			if got, want := s.Info, m.Info(); got != want {
				t.Errorf("%s %s: %+v, the model says %+v", name, dt, got, want)
			}
			var packed int64
			for _, l := range m.Linears() {
				packed += l.W.Bytes()
			}
			head, _ := m.Head()
			packed += head.Bytes()
			// The rest are vectors, and the padding of panels to 32 columns; these models
			// have few columns.
			if s.Weights < packed/2 || s.Weights > packed+packed/2 {
				t.Errorf("%s %s: %d bytes of weights, packed are %d", name, dt, s.Weights, packed)
			}
			cache := m.NewCache()
			if s.RowBytes() != cache.RowBytes() {
				t.Errorf("%s: %d bytes per row, the cache has %d", name, s.RowBytes(), cache.RowBytes())
			}
			const before, tokens = 40, 1000
			ids := make([]int32, tokens)
			layout := tensor.Layout{Starts: []int32{0, tokens}, Past: []int32{0}, Keys: [][]int32{make([]int32, tokens)}}
			for i := range layout.Keys[0] {
				layout.Keys[0][i] = int32(before + i)
			}
			positions := make([]int32, tokens)
			cache.Reserve(before)
			start := dev.Peak()
			h, _, err := m.Forward(&nn.Pass{Dev: dev, Layout: &layout, Positions: positions, PrefixRows: before}, ids, cache)
			if err != nil {
				t.Fatal(err)
			}
			dev.Free(h)
			// Tensors of different widths do not reuse each other's memory, so the process
			// has more than is live at one time.
			took, estimate := dev.Peak()-start, s.PassBytes(tokens, before, 0)-4<<21
			if took > estimate || took < estimate/2 {
				t.Errorf("%s %s: a pass takes %d bytes, the estimate is %d", name, dt, took, estimate)
			}
			cache.Free()
			dev.Close()
		}
	}
}
