package cpu_test

import (
	"fmt"
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// BenchmarkAttention times attention of the last queries of a sequence over
// all of it, one worker, at the shapes of Gemma-2-2b (capped) and Llama-3.2-1b.
func BenchmarkAttention(b *testing.B) {
	for _, shape := range []struct {
		name string
		a    tensor.Attention
	}{
		{"gemma2", tensor.Attention{Heads: 8, KVHeads: 4, HeadDim: 256, Scale: 1.0 / 16, Softcap: 50, Causal: true}},
		{"llama", tensor.Attention{Heads: 32, KVHeads: 8, HeadDim: 64, Scale: 1.0 / 8, Causal: true}},
	} {
		for _, c := range [][2]int{{1, 1024}, {1024, 1024}} {
			queries, keys, a := c[0], c[1], shape.a
			d := cpu.New(1)
			l := tensor.Packed(keys)
			l.Starts[1], l.Past[0] = int32(queries), int32(keys-queries)
			wide, narrow := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
			q, out, lse, k, v := d.Alloc(queries, wide), d.Alloc(queries, wide), d.Alloc(queries, a.Heads),
				d.Alloc(keys, narrow), d.Alloc(keys, narrow)
			for _, t := range []tensor.Tensor{q, k, v} {
				for i := range t.Data {
					t.Data[i] = float32(i*7919%1000)/500 - 1
				}
			}
			var pairs float64
			for i := range queries {
				pairs += float64(keys - i)
			}
			time := func(name string, flops float64, f func()) {
				b.Run(fmt.Sprintf("%s/%s/%dx%d", shape.name, name, queries, keys), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(flops*float64(wide)*pairs*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			time("forward", 4, func() { d.Attend(out, lse, q, k, v, a, tensor.Keys{Layout: &l}) })
			if queries == keys {
				dq, dk, dv := d.Alloc(queries, wide), d.Alloc(keys, narrow), d.Alloc(keys, narrow)
				time("backward", 10, func() { d.AttendBackward(dq, dk, dv, q, out, lse, q, k, v, a, tensor.Keys{Layout: &l}) })
			}
			d.Close()
		}
	}
}
