//go:build cuda && linux

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// attention is one attention with its operands, on the device and on the host.
type attention struct {
	b *bench
	cuda.Attention
	stored           dtype.DType // of q, k, v and out
	layout           tensor.Layout
	q, k, v          []float32
	pq, pk, pv       cuda.Pointer
	out, lse         cuda.Pointer
	qWidth, keyWidth int
}

func (b *bench) ints(lists ...[]int32) cuda.Pointer {
	var all []int32
	for _, l := range lists {
		all = append(all, l...)
	}
	return b.put(dtype.Bytes(floats(all)))
}

// floats returns values with the bits of the numbers.
func floats(l []int32) []float32 {
	f := make([]float32, len(l))
	for i, v := range l {
		f[i] = math.Float32frombits(uint32(v))
	}
	return f
}

// attention makes random operands of a type: keyRows rows of keys, and the queries of the layout.
func (b *bench) attention(a tensor.Attention, l tensor.Layout, keyRows int, stored dtype.DType) *attention {
	m := &attention{b: b, layout: l, stored: stored, qWidth: a.Heads * a.HeadDim, keyWidth: a.KVHeads * a.HeadDim}
	m.Attention = cuda.Attention{Heads: a.Heads, KVHeads: a.KVHeads, Width: a.HeadDim, Scale: a.Scale, Softcap: a.Softcap,
		Window: a.Window, Causal: a.Causal, BF16: stored == dtype.BF16}
	m.lists()
	m.q = b.normal(m.Queries*m.qWidth, 1, stored)
	m.k, m.v = b.normal(keyRows*m.keyWidth, 1, stored), b.normal(keyRows*m.keyWidth, 1, stored)
	m.pq, m.pk, m.pv = m.put(m.q), m.put(m.k), m.put(m.v)
	m.out, m.lse = b.alloc(stored.Size()*len(m.q)), b.alloc(4*m.Queries*a.Heads)
	return m
}

func (m *attention) put(v []float32) cuda.Pointer { return m.b.put(dtype.Narrow(m.stored, v)) }

// lists brings the layout to the device.
func (m *attention) lists() {
	l, b := &m.layout, m.b
	starts := []int32{0}
	for _, keys := range l.Keys {
		starts = append(starts, starts[len(starts)-1]+int32(len(keys)))
	}
	m.Keys, m.KeyStarts, m.Starts, m.Past = b.ints(l.Keys...), b.ints(starts), b.ints(l.Starts), b.ints(l.Past)
	m.Sequences, m.Queries, m.KeyCount = l.Sequences(), int(l.Starts[l.Sequences()]), int(starts[len(starts)-1])
}

func (b *bench) call(c cuda.Call) {
	b.t.Helper()
	b.Compute.Launch(b.kernel(c.Kernel), c.X, c.Y, c.Arguments...)
	check(b.t, b.Synchronize())
}

// forward runs all kernels, which must give the same bits, and returns out and lse.
func (m *attention) forward(what string) (out, lse []float32) {
	m.b.t.Helper()
	for i, c := range m.Forward(m.b.kernels, m.out, m.lse, m.pq, m.pk, m.pv) {
		m.b.call(c)
		o, l := m.b.get(m.out, m.stored, len(m.q)), m.b.get(m.lse, dtype.F32, m.Queries*m.Heads)
		if i > 0 {
			same(m.b.t, what+", "+c.Kernel, o, out)
			same(m.b.t, what+", "+c.Kernel+", lse", l, lse)
		}
		out, lse = o, l
	}
	return out, lse
}

// scores returns the capped scores of query i of sequence s with each key; a key that it does not see
// has -∞.
func (m *attention) scores(s, i, head int) []float64 {
	keys, position := m.layout.Keys[s], int(m.layout.Past[s])+i-int(m.layout.Starts[s])
	scores := make([]float64, len(keys))
	for j, r := range keys {
		if m.Causal && j > position || m.Window > 0 && j <= position-m.Window {
			scores[j] = math.Inf(-1)
			continue
		}
		q, k := m.q[i*m.qWidth+head*m.Width:], m.k[int(r)*m.keyWidth+head/(m.Heads/m.KVHeads)*m.Width:]
		for x := range m.Width {
			scores[j] += float64(q[x]) * float64(k[x])
		}
		scores[j] *= float64(m.Scale)
		if c := float64(m.Softcap); c > 0 {
			scores[j] = c * math.Tanh(scores[j]/c)
		}
	}
	return scores
}

// want returns out and lse in float64.
func (m *attention) want() (out, lse []float64) {
	out, lse = make([]float64, len(m.q)), make([]float64, m.Queries*m.Heads)
	for s, keys := range m.layout.Keys {
		for i := int(m.layout.Starts[s]); i < int(m.layout.Starts[s+1]); i++ {
			for h := range m.Heads {
				total := 0.0
				for j, x := range m.scores(s, i, h) {
					p := math.Exp(x)
					total += p
					for c := range m.Width {
						out[i*m.qWidth+h*m.Width+c] += p * float64(m.v[int(keys[j])*m.keyWidth+h/(m.Heads/m.KVHeads)*m.Width+c])
					}
				}
				for c := range m.Width {
					if total > 0 {
						out[i*m.qWidth+h*m.Width+c] /= total
					}
				}
				lse[i*m.Heads+h] = math.Log(total)
			}
		}
	}
	return out, lse
}

// attentions lists shapes with what layouts can have: sequences of any length, keys of a cache in any
// order, shared prefixes, windows and caps.
func attentions(random func(n int) []int32) []struct {
	name    string
	a       tensor.Attention
	l       tensor.Layout
	keyRows int
} {
	type c = struct {
		name    string
		a       tensor.Attention
		l       tensor.Layout
		keyRows int
	}
	decode := func(rows int, lengths ...int) tensor.Layout {
		l := tensor.Layout{Starts: []int32{0}}
		for _, n := range lengths {
			l.Starts = append(l.Starts, l.Starts[len(l.Starts)-1]+int32(rows))
			l.Past = append(l.Past, int32(n-rows))
			l.Keys = append(l.Keys, random(300)[:n])
		}
		return l
	}
	all := []c{
		{"packed", tensor.Attention{Heads: 4, KVHeads: 2, HeadDim: 16, Scale: 0.3, Causal: true}, tensor.Packed(70, 0, 3, 130, 64, 1), 268},
		{"window and cap", tensor.Attention{Heads: 2, KVHeads: 1, HeadDim: 20, Scale: 0.3, Softcap: 2, Window: 33, Causal: true},
			tensor.Packed(150, 40), 190},
		{"encoder", tensor.Attention{Heads: 3, KVHeads: 3, HeadDim: 12, Scale: 0.3}, tensor.Packed(67, 9), 76},
		{"decoding", tensor.Attention{Heads: 4, KVHeads: 1, HeadDim: 64, Scale: 0.125, Causal: true}, decode(1, 1, 64, 65, 201), 300},
		{"few queries", tensor.Attention{Heads: 6, KVHeads: 2, HeadDim: 32, Scale: 0.2, Softcap: 30, Window: 100, Causal: true},
			decode(5, 5, 70, 170), 300},
		{"odd width", tensor.Attention{Heads: 2, KVHeads: 2, HeadDim: 7, Scale: 0.3, Causal: true}, tensor.Packed(5, 66), 71},
		{"cross", tensor.Attention{Heads: 2, KVHeads: 2, HeadDim: 16, Scale: 0.3}, tensor.Layout{Starts: []int32{0, 1, 2, 4},
			Past: []int32{90, 3, 0}, Keys: [][]int32{random(300)[:80], random(300)[:9], {}}}, 300},
	}
	for _, width := range []int{80, 96, 128, 256} {
		a := tensor.Attention{Heads: 2, KVHeads: 1, HeadDim: width, Scale: float32(1 / math.Sqrt(float64(width))), Softcap: 20, Causal: true}
		all = append(all, c{fmt.Sprint("width ", width), a, tensor.Packed(70), 70})
	}
	return all
}

func (b *bench) places(n int) []int32 {
	p := make([]int32, n)
	for i, v := range b.random.Perm(n) {
		p[i] = int32(v)
	}
	return p
}

// All kernels against float64, and against each other to the bit.
func TestAttend(t *testing.T) {
	b := newBench(t)
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16} {
		for _, c := range attentions(b.places) {
			m, what := b.attention(c.a, c.l, c.keyRows, stored), c.name+" "+string(stored)
			want, wantLSE := m.want()
			out, lse := m.forward(what)
			near(t, what, out, want, m.rounding(), 2e-5)
			nearLSE(t, what, lse, wantLSE)
		}
	}
}

// rounding returns what storing a result may change of it.
func (m *attention) rounding() float64 {
	if m.BF16 {
		return bf16Half
	}
	return 0
}

func nearLSE(t testing.TB, what string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if g := float64(got[i]); !(g == w || math.Abs(g-w) <= 1e-5*max(1, math.Abs(w))) {
			t.Fatalf("%s: log-sum-exp %d is %g, want %g", what, i, g, w)
		}
	}
}

// same compares bits.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: value %d of %d is %g, before %g", what, i, len(want), got[i], w)
		}
	}
}

// A query's bits are the same among all queries of its sequence, alone as in decoding, and in a batch
// with others, with later keys or without.
func TestAttendInvariance(t *testing.T) {
	b := newBench(t)
	n, step := 140, 23
	shapes := []tensor.Attention{
		{Heads: 4, KVHeads: 2, HeadDim: 16, Scale: 0.3, Softcap: 3, Window: 70, Causal: true},
		{Heads: 3, KVHeads: 1, HeadDim: 32, Scale: 0.3, Causal: true},
	}
	if cudatest.Large() {
		n, step = 700, 9
		shapes = append(shapes, tensor.Attention{Heads: 8, KVHeads: 4, HeadDim: 256, Scale: 0.0625, Softcap: 50, Window: 300, Causal: true},
			tensor.Attention{Heads: 8, KVHeads: 2, HeadDim: 128, Scale: 0.088, Causal: true})
	}
	for _, a := range shapes {
		whole := b.attention(a, tensor.Packed(n), n, dtype.F32)
		want, wantLSE := whole.forward("all queries")
		for i := 0; i < n; i += step {
			count := min(1+i%4, n-i)
			m := *whole
			m.layout = tensor.Layout{Starts: []int32{0, 1, int32(1 + count)}, Past: []int32{int32(n - 1), int32(i)},
				Keys: [][]int32{whole.layout.Keys[0], whole.layout.Keys[0][:i+count]}}
			m.lists()
			m.q = append(append([]float32(nil), whole.q[(n-1)*m.qWidth:]...), whole.q[i*m.qWidth:(i+count)*m.qWidth]...)
			m.pq = b.put(dtype.Bytes(m.q))
			what := fmt.Sprintf("%+v, queries %d to %d", a, i, i+count-1)
			out, lse := m.forward(what)
			same(t, what, out[m.qWidth:], want[i*m.qWidth:(i+count)*m.qWidth])
			same(t, what, out[:m.qWidth], want[(n-1)*m.qWidth:])
			same(t, what, lse[m.Heads:], wantLSE[i*m.Heads:(i+count)*m.Heads])
		}
	}
}

// The gradients against the formula in float64. Rows of keys that no sequence lists keep their bytes.
func TestAttendBackward(t *testing.T) {
	b := newBench(t)
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16} {
		b.attendBackward(stored)
	}
}

func (b *bench) attendBackward(stored dtype.DType) {
	for _, c := range attentions(b.places) {
		if c.name == "decoding" || c.name == "few queries" || c.name == "cross" {
			c.l = disjoint(c.l, b.places(c.keyRows))
		}
		m, what := b.attention(c.a, c.l, c.keyRows, stored), c.name+" "+string(stored)
		m.forward(what)
		m.checkGradients(what, false)
		if m.Width > 96 && !m.BF16 {
			m.checkGradients(what+", least", true)
		}
	}
}

func (m *attention) checkGradients(what string, least bool) {
	b, t := m.b, m.b.t
	t.Helper()
	dout := b.normal(len(m.q), 1, m.stored)
	dq, dk, dv := b.alloc(m.stored.Size()*len(m.q)), m.put(make([]float32, len(m.k))), m.put(make([]float32, len(m.v)))
	delta := b.alloc(4 * m.Queries * m.Heads)
	for _, call := range m.Backward(b.kernels, least, dq, dk, dv, m.put(dout), m.out, m.lse, delta, m.pq, m.pk, m.pv) {
		b.call(call)
	}
	wantQ, wantK, wantV := m.wantGradients(dout)
	relative, absolute := 1e-5+m.rounding(), 4e-5
	if m.BF16 {
		absolute = 2e-4 // a value of out that is rounded the other way changes the gradients of its row
	}
	near(t, what+" dq", b.get(dq, m.stored, len(m.q)), wantQ, relative, absolute/2)
	near(t, what+" dk", b.get(dk, m.stored, len(m.k)), wantK, relative, absolute)
	near(t, what+" dv", b.get(dv, m.stored, len(m.v)), wantV, relative, absolute)
}

// A GPU with 99 KB of shared memory per block, as those of capability 8.6 and 8.9, has kernels for all
// widths.
func TestAttendInLittleSharedMemory(t *testing.T) {
	cudatest.Plant(t, "shared", 99<<10)
	b := newBench(t)
	for _, width := range []int{64, 96, 128, 256} {
		for _, stored := range []dtype.DType{dtype.F32, dtype.BF16} {
			m := b.attention(tensor.Attention{Heads: 1, KVHeads: 1, HeadDim: width, Scale: 0.1, Causal: true}, tensor.Packed(40), 40, stored)
			if m.forward(""); len(m.Forward(b.kernels, 0, 0, 0, 0, 0)) == 0 {
				t.Fatalf("no kernel for heads of %d values of %s", width, stored)
			}
			m.checkGradients(fmt.Sprint("width ", width, " ", stored), false)
		}
	}
}

// disjoint gives each sequence rows of its own, as many as before.
func disjoint(l tensor.Layout, rows []int32) tensor.Layout {
	for s, keys := range l.Keys {
		n := min(len(keys), len(rows))
		l.Keys[s], rows = rows[:n], rows[n:]
	}
	return l
}

// wantGradients returns dq, dk and dv in float64.
func (m *attention) wantGradients(dout []float32) (dq, dk, dv []float64) {
	dq, dk, dv = make([]float64, len(m.q)), make([]float64, len(m.k)), make([]float64, len(m.v))
	out, lse := m.want()
	for i, v := range out {
		if m.BF16 { // as it is stored
			out[i] = float64(dtype.RoundBF16(float32(v)))
		}
	}
	for s, keys := range m.layout.Keys {
		for i := int(m.layout.Starts[s]); i < int(m.layout.Starts[s+1]); i++ {
			for h := range m.Heads {
				at := i*m.qWidth + h*m.Width
				delta := 0.0
				for c := range m.Width {
					delta += float64(dout[at+c]) * out[at+c]
				}
				for j, x := range m.scores(s, i, h) {
					key := int(keys[j])*m.keyWidth + h/(m.Heads/m.KVHeads)*m.Width
					p, grad := math.Exp(x-lse[i*m.Heads+h]), 0.0
					if p == 0 {
						continue
					}
					for c := range m.Width {
						grad += float64(dout[at+c]) * float64(m.v[key+c])
						dv[key+c] += p * float64(dout[at+c])
					}
					ds := p * (grad - delta) * float64(m.Scale)
					if c := float64(m.Softcap); c > 0 {
						ds *= 1 - (x/c)*(x/c)
					}
					for c := range m.Width {
						dq[at+c] += ds * float64(m.k[key+c])
						dk[key+c] += ds * float64(m.q[at+c])
					}
				}
			}
		}
	}
	return dq, dk, dv
}
