package conformance

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// Bench times a device's heavy operations at the shapes of Gemma-2-2b and
// reports their rate.
func Bench(b *testing.B, dev tensor.Device) {
	s := &suite{rng: rand.New(rand.NewPCG(1, 1)), dev: dev, T: &testing.T{}}
	for _, shape := range [][3]int{{1, 2304, 2304}, {8, 2304, 9216}, {512, 2304, 2304}, {512, 9216, 2304}} {
		for _, dt := range types {
			t, n, k := shape[0], shape[1], shape[2]
			w, err := dev.Pack(tensor.Matrix{Rows: n, Cols: k, DType: dtype.F32, Bytes: dtype.Bytes(narrow(s.random(n, k).v))}, dt)
			if err != nil {
				b.Fatal(err)
			}
			x, y := s.put(s.random(t, k)), s.put(s.random(t, n))
			flops := 2 * float64(t) * float64(n) * float64(k)
			time := func(name string, f func()) {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", name, t, n, k, dt), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			time("MatMul", func() { dev.MatMul(y, x, w, tensor.Tensor{}, false) })
			time("MatMulT", func() { dev.MatMulT(x, y, w, false) })
			dev.Free(x, y)
		}
	}
	// The gradients of LoRA's A [rank, in] and B [out, rank].
	for _, rank := range []int{8, 16, 128} {
		const t, wide = 512, 2304
		x, u := s.put(s.random(t, wide)), s.put(s.random(t, rank))
		for _, side := range []struct {
			name      string
			dw, dy, x tensor.Tensor
		}{{"A", dev.Alloc(rank, wide), u, x}, {"B", dev.Alloc(wide, rank), x, u}} {
			b.Run(fmt.Sprintf("GradWeight/%d/%s%d", t, side.name, rank), func(b *testing.B) {
				for b.Loop() {
					dev.GradWeight(side.dw, side.dy, side.x)
				}
				b.ReportMetric(2*t*wide*float64(rank)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			dev.Free(side.dw)
		}
		dev.Free(x, u)
	}
	a := tensor.Attention{Heads: 8, KVHeads: 4, HeadDim: 256, Scale: 1.0 / 16, Softcap: 50, Window: 4096, Causal: true}
	for _, n := range []int{128, 512} {
		l := tensor.Packed(n, n)
		q, k, v, out := s.put(s.random(2*n, 2048)), s.put(s.random(2*n, 1024)), s.put(s.random(2*n, 1024)), dev.Alloc(2*n, 2048)
		b.Run(fmt.Sprintf("Attend/2x%d", n), func(b *testing.B) {
			for b.Loop() {
				dev.Attend(out, tensor.Tensor{}, q, k, v, a, tensor.Keys{Layout: &l})
			}
			b.ReportMetric(float64(2*n*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
