package cpu_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// attendBackward64 is the gradient of causal attention in float64, by its
// formula.
func attendBackward64(dout, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) (dq, dk, dv []float64) {
	dq, dk, dv = make([]float64, q.Len()), make([]float64, k.Len()), make([]float64, v.Len())
	at := func(t tensor.Tensor, row, head, x int) float64 { return float64(t.Data[row*t.Cols+head*a.HeadDim+x]) }
	for s := range l.Past {
		for i := int(l.Starts[s]); i < int(l.Starts[s+1]); i++ {
			position := int(l.Past[s]) + i - int(l.Starts[s])
			from := 0
			if a.Window > 0 {
				from = max(0, position-a.Window+1)
			}
			keys := l.Keys[s][from : position+1]
			for h := range a.Heads {
				g := h / (a.Heads / a.KVHeads)
				p, slope, dp := make([]float64, len(keys)), make([]float64, len(keys)), make([]float64, len(keys))
				total, mean := 0.0, 0.0
				for j, r := range keys {
					for x := range a.HeadDim {
						p[j] += float64(a.Scale) * at(q, i, h, x) * at(k, int(r), g, x)
						dp[j] += at(dout, i, h, x) * at(v, int(r), g, x)
					}
					slope[j] = 1
					if c := float64(a.Softcap); c > 0 {
						t := math.Tanh(p[j] / c)
						p[j], slope[j] = c*t, 1-t*t
					}
					p[j] = math.Exp(p[j])
					total += p[j]
				}
				for j := range keys {
					p[j] /= total
					mean += p[j] * dp[j]
				}
				for j, r := range keys {
					ds := p[j] * (dp[j] - mean) * slope[j] * float64(a.Scale)
					for x := range a.HeadDim {
						dq[i*q.Cols+h*a.HeadDim+x] += ds * at(k, int(r), g, x)
						dk[int(r)*k.Cols+g*a.HeadDim+x] += ds * at(q, i, h, x)
						dv[int(r)*v.Cols+g*a.HeadDim+x] += p[j] * at(dout, i, h, x)
					}
				}
			}
		}
	}
	return dq, dk, dv
}

// TestLongAttendBackward: sequences whose keys are cut into parts, against
// float64, the same bits on any number of workers, and alone.
func TestLongAttendBackward(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, a := range []tensor.Attention{
		{Heads: 2, KVHeads: 1, HeadDim: 16, Scale: 0.25, Softcap: 4, Causal: true},
		{Heads: 1, KVHeads: 1, HeadDim: 24, Scale: 0.25, Window: 300, Causal: true},
	} {
		l := tensor.Packed(40, 1100, 2100)
		rows := int(l.Starts[3])
		host := func(cols int) tensor.Tensor {
			x := make([]float32, rows*cols)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			return tensor.Host(rows, cols, x)
		}
		q, k, v, dout := host(a.Heads*a.HeadDim), host(a.KVHeads*a.HeadDim), host(a.KVHeads*a.HeadDim), host(a.Heads*a.HeadDim)
		run := func(threads, lo, hi int, l *tensor.Layout) [3][]float32 {
			d := cpu.New(threads)
			defer d.Close()
			q, k, v, dout := q.Slice(lo, hi), k.Slice(lo, hi), v.Slice(lo, hi), dout.Slice(lo, hi)
			out, lse := d.Alloc(hi-lo, q.Cols), d.Alloc(hi-lo, a.Heads)
			dq, dk, dv := d.Alloc(hi-lo, q.Cols), d.Alloc(hi-lo, k.Cols), d.Alloc(hi-lo, v.Cols)
			d.Attend(out, lse, q, k, v, a, tensor.Keys{Layout: l})
			d.AttendBackward(dq, dk, dv, dout, out, lse, q, k, v, a, tensor.Keys{Layout: l})
			return [3][]float32{dq.Data, dk.Data, dv.Data}
		}
		got := run(1, 0, rows, &l)
		dq, dk, dv := attendBackward64(dout, q, k, v, a, &l)
		for n, want := range [3][]float64{dq, dk, dv} {
			for i, w := range want {
				if math.Abs(float64(got[n][i])-w) > 3e-5*max(1, math.Abs(w)) {
					t.Fatalf("%+v: gradient %d[%d] is %g, want %g", a, n, i, got[n][i], w)
				}
			}
		}
		lo, hi := int(l.Starts[1]), int(l.Starts[2])
		one := tensor.Packed(hi - lo)
		alone := run(2, lo, hi, &one)
		for n, other := range run(3, 0, rows, &l) {
			if !slices.Equal(other, got[n]) {
				t.Errorf("%+v: gradient %d has other bits on three workers", a, n)
			}
			cols := len(got[n]) / rows
			if !slices.Equal(alone[n], got[n][lo*cols:hi*cols]) {
				t.Errorf("%+v: gradient %d of a sequence has other bits alone", a, n)
			}
		}
	}
}
