package conformance

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/tensor"
)

// attend64 is attention in float64. lse has the log-sum-exp of each row's scores.
func attend64(q, k, v matrix, a tensor.Attention, l *tensor.Layout) (out, lse matrix) {
	out, lse = zeros(q.rows, q.cols), zeros(q.rows, a.Heads)
	for s := range l.Past {
		for i := int(l.Starts[s]); i < int(l.Starts[s+1]); i++ {
			position := int(l.Past[s]) + i - int(l.Starts[s])
			for h := range a.Heads {
				row(q, k, v, out, lse, a, l.Keys[s], i, h, position)
			}
		}
	}
	return out, lse
}

// row computes one query and head of attend64.
func row(q, k, v, out, lse matrix, a tensor.Attention, keys []int32, i, h, position int) {
	g := h / (a.Heads / a.KVHeads)
	scores := make([]float64, len(keys))
	total := 0.0
	for j, r := range keys {
		if a.Causal && j > position || a.Window > 0 && j <= position-a.Window {
			continue
		}
		dot := 0.0
		for x := range a.HeadDim {
			dot += q.at(i, h*a.HeadDim+x) * k.at(int(r), g*a.HeadDim+x)
		}
		dot *= float64(a.Scale)
		if c := float64(a.Softcap); c > 0 {
			dot = c * math.Tanh(dot/c)
		}
		scores[j] = math.Exp(dot)
		total += scores[j]
	}
	lse.set(i, h, math.Log(total))
	if total == 0 {
		return
	}
	for j, r := range keys {
		for x := range a.HeadDim {
			at := h*a.HeadDim + x
			out.set(i, at, out.at(i, at)+scores[j]/total*v.at(int(r), g*a.HeadDim+x))
		}
	}
}

// attentions returns shapes that other implementations have got wrong.
func attentions() []tensor.Attention {
	var out []tensor.Attention
	for _, heads := range [][2]int{{1, 1}, {4, 2}, {4, 1}} {
		for _, width := range []int{4, 16} {
			for _, cap := range []float32{0, 1.5} {
				for _, window := range []int{0, 1, 4, 5} {
					out = append(out, tensor.Attention{Heads: heads[0], KVHeads: heads[1], HeadDim: width, Scale: 0.4,
						Softcap: cap, Window: window, Causal: true})
				}
			}
			out = append(out, tensor.Attention{Heads: heads[0], KVHeads: heads[1], HeadDim: width, Scale: 0.4})
		}
	}
	return out
}

func attend(s *suite) {
	l := tensor.Packed(1, 4, 0, 5, 6, 20)
	rows := int(l.Starts[len(l.Starts)-1])
	for _, a := range attentions() {
		q, k, v := s.random(rows, a.Heads*a.HeadDim), s.random(rows, a.KVHeads*a.HeadDim), s.random(rows, a.KVHeads*a.HeadDim)
		out, lse := s.result(rows, q.cols), s.dev.Alloc(rows, a.Heads)
		s.dev.Attend(out, lse, s.operand(q), s.operand(k), s.operand(v), a, tensor.Keys{Layout: &l})
		want, wantLSE := attend64(q, k, v, a, &l)
		s.near(fmt.Sprintf("%+v", a), out, want, 3)
		s.near(fmt.Sprintf("%+v log-sum-exp", a), lse, wantLSE, 3)
		s.dev.Attend(out, tensor.Tensor{}, s.operand(q), s.operand(k), s.operand(v), a, tensor.Keys{Layout: &l})
		s.near(fmt.Sprintf("%+v without log-sum-exp", a), out, want, 3)
	}
}

// attendShared tests sequences that share a prefix, beams with their own lists of keys, and
// cache rows in any order.
func attendShared(s *suite) {
	a := tensor.Attention{Heads: 4, KVHeads: 2, HeadDim: 8, Scale: 0.3, Softcap: 2, Window: 6, Causal: true}
	const pool = 30
	k, v := s.random(pool, 16), s.random(pool, 16)
	l := tensor.Layout{
		Starts: []int32{0, 2, 3, 4, 6}, Past: []int32{5, 7, 7, 0},
		Keys: [][]int32{{9, 3, 27, 0, 4, 11, 12}, {9, 3, 27, 0, 4, 11, 12, 20}, {9, 3, 27, 0, 4, 11, 12, 21}, {29, 28}},
	}
	q := s.random(6, 32)
	out := s.result(6, 32)
	s.dev.Attend(out, tensor.Tensor{}, s.operand(q), s.operand(k), s.operand(v), a, tensor.Keys{Layout: &l})
	want, _ := attend64(q, k, v, a, &l)
	s.near("shared", out, want, 3)

	cross := tensor.Layout{Starts: []int32{0, 2, 3, 6}, Past: []int32{0, 0, 0}, Keys: [][]int32{{1, 2, 3, 4}, {1, 2, 3, 4}, {29}}}
	a.Causal, a.Window = false, 0
	s.dev.Attend(out, tensor.Tensor{}, s.operand(q), s.operand(k), s.operand(v), a, tensor.Keys{Layout: &cross})
	want, _ = attend64(q, k, v, a, &cross)
	s.near("cross", out, want, 3)
}

// attendAlone checks that one query alone, as in decoding, and a few at once get the same bits
// as among the others of a long sequence, as in prefill.
func attendAlone(s *suite) {
	const n = 150
	for _, a := range []tensor.Attention{
		{Heads: 4, KVHeads: 2, HeadDim: 32, Scale: 0.2, Softcap: 3, Window: 70, Causal: true},
		{Heads: 4, KVHeads: 1, HeadDim: 16, Scale: 0.3, Causal: true},
		{Heads: 3, KVHeads: 3, HeadDim: 24, Scale: 0.3, Causal: true},
		{Heads: 2, KVHeads: 2, HeadDim: 16, Scale: 0.3},
	} {
		width := a.Heads * a.HeadDim
		q, k, v := s.random(n, width), s.random(n, a.KVHeads*a.HeadDim), s.random(n, a.KVHeads*a.HeadDim)
		pk, pv := s.operand(k), s.operand(v)
		l := tensor.Packed(n)
		whole, lse := s.result(n, width), s.dev.Alloc(n, a.Heads)
		s.dev.Attend(whole, lse, s.operand(q), pk, pv, a, tensor.Keys{Layout: &l})
		want, wantLSE := attend64(q, k, v, a, &l)
		s.near(fmt.Sprintf("%+v", a), whole, want, 3)
		s.near(fmt.Sprintf("%+v log-sum-exp", a), lse, wantLSE, 5)
		bits := s.get(whole)
		for _, count := range []int{1, 3} {
			for i := 0; i+count <= n; i += 7 {
				part := tensor.Layout{Starts: []int32{0, int32(count)}, Past: []int32{int32(i)}, Keys: l.Keys}
				if a.Causal { // later keys do not exist yet
					part.Keys = [][]int32{l.Keys[0][:i+count]}
				}
				out := s.result(count, width)
				few := s.operand(matrix{count, width, q.v[i*width : (i+count)*width]})
				s.dev.Attend(out, tensor.Tensor{}, few, pk, pv, a, tensor.Keys{Layout: &part})
				if !slices.Equal(s.get(out).v, bits.v[i*width:(i+count)*width]) {
					s.Fatalf("%+v: queries %d to %d attend differently alone", a, i, i+count-1)
				}
				s.dev.Free(out)
			}
		}
	}
}

func attendBackward(s *suite) {
	l := tensor.Packed(1, 5, 0, 7)
	rows := 13
	for _, a := range attentions() {
		if a.HeadDim > 4 && a.Window > 1 {
			continue // finite differences are slow
		}
		q, k, v := s.random(rows, a.Heads*a.HeadDim), s.random(rows, a.KVHeads*a.HeadDim), s.random(rows, a.KVHeads*a.HeadDim)
		dout := s.random(rows, q.cols)
		pq, pk, pv, pdout := s.operand(q), s.operand(k), s.operand(v), s.operand(dout)
		out, lse := s.result(rows, q.cols), s.dev.Alloc(rows, a.Heads)
		s.dev.Attend(out, lse, pq, pk, pv, a, tensor.Keys{Layout: &l})
		dq, dk, dv := s.result(rows, q.cols), s.result(rows, k.cols), s.result(rows, k.cols)
		s.dev.AttendBackward(dq, dk, dv, pdout, out, lse, pq, pk, pv, a, tensor.Keys{Layout: &l})
		f := func(q, k, v matrix) matrix { return beside(attend64(q, k, v, a, &l)) }
		what, weight := fmt.Sprintf("%+v ", a), beside(dout, lost(dout, s.get(out), f(q, k, v), a))
		s.gradient(what+"dq", dq, q, weight, func(q matrix) matrix { return f(q, k, v) })
		s.gradient(what+"dk", dk, k, weight, func(k matrix) matrix { return f(q, k, v) })
		s.gradient(what+"dv", dv, v, weight, func(v matrix) matrix { return f(q, k, v) })
	}
}

// lost returns what the stored result is short of in Σ dout·out of each row and head. The backward pass
// subtracts that sum from the gradient of each score, so that a difference d in it has the effect of a weight
// of -d on the row's log-sum-exp. want has the exact result in its first columns.
func lost(dout, stored, want matrix, a tensor.Attention) matrix {
	d := zeros(dout.rows, a.Heads)
	for i := range dout.rows {
		for j, g := range dout.row(i) {
			d.set(i, j/a.HeadDim, d.at(i, j/a.HeadDim)-g*(stored.at(i, j)-want.at(i, j)))
		}
	}
	return d
}

// beside returns a matrix with the columns of a and then those of b.
func beside(a, b matrix) matrix {
	m := zeros(a.rows, a.cols+b.cols)
	for i := range a.rows {
		copy(m.row(i), a.row(i))
		copy(m.row(i)[a.cols:], b.row(i))
	}
	return m
}
