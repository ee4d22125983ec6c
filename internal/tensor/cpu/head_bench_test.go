package cpu_test

import (
	"fmt"
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// BenchmarkHead times the passes over a vocabulary of 64000 at width 1024, one
// worker.
func BenchmarkHead(b *testing.B) {
	const vocab, width = 64000, 1024
	d := cpu.New(1)
	defer d.Close()
	m := d.Alloc(vocab, width)
	for i := range m.Data {
		m.Data[i] = float32(i*7919%1000)/5000 - 0.1
	}
	w := d.PackTensor(m)
	d.Free(m)
	for _, rows := range []int{1, 5, 80} {
		h, dh := d.Alloc(rows, width), d.Alloc(rows, width)
		for i := range h.Data {
			h.Data[i] = float32(i*104729%1000)/500 - 1
		}
		targets, nll, losses := make([]int32, rows), make([]float32, rows), d.Alloc(rows, 1)
		time := func(name string, products float64, f func()) {
			b.Run(fmt.Sprintf("%s/%d", name, rows), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(products*2*float64(rows*vocab*width)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
		time("TopK10", 1, func() { d.TopK(h, w, 10, 0, nil, nil) })
		time("LogProbs", 1, func() { d.LogProbs(h, w, tensor.Ints{Host: targets}, 30, false) })
		time("LogProbsRanks", 1, func() { d.LogProbs(h, w, tensor.Ints{Host: targets}, 30, true) })
		time("CrossEntropy", 2, func() {
			d.CrossEntropy(losses, dh, h, w, tensor.Ints{Host: targets}, tensor.Host(len(nll), 1, nll), 30)
		})
	}
}
