package train

import (
	"math"
	"testing"
	"time"

	"barka/internal/dtype"
	"barka/internal/durable"
	"barka/internal/golden"
	"barka/internal/model"
	"barka/internal/tensor/cpu"
)

// TestNoise: NEFTune's noise is uniform in ±alpha/√(L·D) with the length L of each sample, the
// same for a sample in every pass, and other in another step; it changes the loss of every
// architecture.
func TestNoise(t *testing.T) {
	for _, name := range golden.Trained {
		t.Run(name, func(t *testing.T) {
			dev := cpu.New(1)
			defer dev.Close()
			m, err := model.OpenDecoder(golden.Dir(name), model.Options{Device: dev, DType: dtype.F32})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			width := m.Info().Hidden
			tr := &trainer{o: Options{NEFTune: 7}, model: m, dev: dev, env: durable.Env{Seed: 3}, plan: &Estimate{}}
			noise := func(step int, lengths []int, samples ...int32) [][]float32 {
				tr.step = step
				n := 0
				for _, l := range lengths {
					n += l
				}
				p := &pass{lengths: lengths, samples: samples}
				p.tokens = make([]int32, n)
				for i := range p.tokens {
					p.tokens[i] = int32(5 + i%7)
				}
				p.Pass = layout(dev, lengths)
				tr.perturb(p)
				values := make([]float32, n*width)
				dev.Download(values, p.Noise)
				var each [][]float32
				for _, l := range lengths {
					each = append(each, values[:l*width])
					values = values[l*width:]
				}
				p.free()
				return each
			}
			together := noise(4, []int{40, 10}, 8, 9)
			alone, other := noise(4, []int{10}, 9), noise(5, []int{10}, 9)
			same := 0
			for i, v := range alone[0] {
				if v != together[1][i] {
					t.Fatalf("value %d is %g alone and %g together", i, v, together[1][i])
				}
				if v == other[0][i] {
					same++
				}
			}
			if same > len(alone[0])/100 {
				t.Errorf("%d of %d values are the same in another step", same, len(alone[0]))
			}
			for k, l := range []int{40, 10} {
				limit := 7 / math.Sqrt(float64(l*width))
				var sum, squares, most float64
				for _, v := range together[k] {
					x := float64(v) / limit
					sum, squares, most = sum+x, squares+x*x, max(most, math.Abs(x))
				}
				n := float64(len(together[k]))
				if most > 1 || most < 0.9 || math.Abs(sum/n) > 4/math.Sqrt(3*n) || math.Abs(squares/n-1.0/3) > 2/math.Sqrt(n) {
					t.Errorf("length %d: mean %g, mean square %g, largest %g of the limit", l, sum/n, squares/n, most)
				}
			}
			plain, noisy := loss(t, tr, m, false), loss(t, tr, m, true)
			if plain == noisy || math.Abs(plain-noisy) > plain {
				t.Errorf("the loss is %g with noise, %g without", noisy, plain)
			}
		})
	}
}

// loss runs a sample, with noise or without.
func loss(t *testing.T, tr *trainer, m model.Decoder, noisy bool) float64 {
	t.Helper()
	p := &pass{lengths: []int{6}, samples: []int32{1}, Pass: layout(tr.dev, []int{6})}
	p.tokens, p.rows, p.targets = []int32{5, 6, 7, 8, 9, 10}, []int32{2, 4}, []int32{8, 10}
	if noisy {
		tr.perturb(p)
	}
	sum, err := model.Loss(m, p.Pass, p.tokens, p.rows, p.targets)
	if err != nil {
		t.Fatal(err)
	}
	p.free()
	return sum
}

// TestShareOfPeak: a step faster than the peak makes the peak be measured again, and no share
// is above 1.
func TestShareOfPeak(t *testing.T) {
	measured := 0
	tr := &trainer{plan: &Estimate{perToken: 10}, peak: 100, in: Input{Peak: func(string) float64 { measured++; return 400 }}}
	for _, c := range []struct {
		tokens, measured int
		want             float64
	}{{5, 0, 0.5}, {20, 1, 0.5}, {10, 1, 0.25}, {80, 2, 1}, {40, 2, 0.5}} {
		if got := tr.share(Metrics{Tokens: c.tokens}, time.Second); got != c.want || measured != c.measured {
			t.Errorf("%d tokens: share %g after %d measurements, want %g after %d", c.tokens, got, measured, c.want, c.measured)
		}
	}
}
