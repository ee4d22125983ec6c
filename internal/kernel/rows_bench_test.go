package kernel

import "testing"

// BenchmarkPasses times each pass over a row of 2304 values.
func BenchmarkPasses(b *testing.B) {
	rng := newRand(1)
	v := [][]float32{random(rng, 2304), random(rng, 2304), random(rng, 2304), random(rng, 2304)}
	for _, p := range passes {
		if p.name == "AdamW" {
			continue // the case squares an operand, over and over
		}
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				p.run(v, [3]float32{1, 0.5, 0})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2304, "ns/value")
		})
	}
	for _, act := range []struct {
		name string
		act  Activation
	}{{"GELUTanh", GELUTanh}, {"GELUErf", GELUErf}, {"SiLU", SiLU}, {"ReLU", ReLU}} {
		b.Run("Gate "+act.name, func(b *testing.B) {
			dst := make([]float32, 2304)
			for b.Loop() {
				Gate(act.act, dst, v[1], v[2])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2304, "ns/value")
		})
	}
}
