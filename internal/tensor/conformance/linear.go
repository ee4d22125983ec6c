package conformance

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// linear tests Linear and LinearBackward: rows of every length, an input that dropout has thinned out, and
// adapters that change, also in their rank.
func linear(s *suite) {
	const scale = 0.5
	for _, shape := range shapes {
		for _, dt := range types {
			T, n, k := shape[0], shape[1], shape[2]
			w, bias := s.random(n, k), s.random(1, n)
			pw := s.weight(w, dt)
			for _, r := range []int{3, 8, 20, 8} {
				a, b := s.random(r, k), s.random(n, r)
				pa, pb := s.dev.PackTensor(s.put(s.random(r, k))), s.dev.PackTensor(s.put(b))
				first := tensor.Adapter{A: pa, B: pb, Scale: scale}
				s.dev.Linear(s.dev.Alloc(T, n), s.dev.Alloc(T, r), s.put(zeros(T, k)), s.put(zeros(T, k)), pw, tensor.Tensor{}, first)
				s.dev.Repack(pa, s.put(a))
				s.linear(fmt.Sprintf("%v rank %d %s", shape, r, dt), w, bias, a, b, pw, tensor.Adapter{A: pa, B: pb, Scale: scale})
			}
			// Products of the weight alone are as before.
			x, y := s.random(T, k), s.dev.Alloc(T, n)
			s.dev.MatMul(y, s.put(x), pw, tensor.Tensor{}, false)
			s.near(fmt.Sprintf("%v %s alone", shape, dt), y, packedProduct(x, w, dt), 10)
		}
	}
}

// linear tests one adapter: with dropout and without, accumulated and not.
func (s *suite) linear(what string, w, bias, a, b matrix, pw tensor.Weight, adapter tensor.Adapter) {
	T, dt := 5, pw.DType()
	x, dy, dx0 := s.random(T, w.cols), s.random(T, w.rows), s.random(T, w.cols)
	thin := x.clone()
	for i := range thin.v {
		thin.v[i] *= float64(i % 2 * 2)
	}
	stored := s.of(dt)
	px, pdy, y := s.as(stored, x), s.as(stored, dy), s.dev.AllocAs(T, w.rows, stored)
	u, v := s.dev.Alloc(T, a.rows), s.dev.Alloc(T, a.rows)
	for _, in := range []matrix{x, thin} {
		pin := px
		if &in.v[0] != &x.v[0] {
			pin = s.as(stored, in)
		}
		s.dev.Linear(y, u, px, pin, pw, s.put(bias), adapter)
		wantU := times(product(in, a, false), float64(adapter.Scale))
		want := plus(packedProduct(x, w, dt), product(wantU, b, false))
		for i := range want.v {
			want.v[i] += bias.v[i%w.rows]
		}
		s.near(what+" u", u, wantU, rounded(dt, in, a))
		s.near(what+" y", y, want, rounded(dt, in, a, b))
		only := s.dev.Alloc(T, a.rows)
		s.dev.Linear(tensor.Tensor{}, only, px, pin, pw, tensor.Tensor{}, adapter)
		if !slices.Equal(s.get(only).v, s.get(u).v) {
			s.Fatalf("%s: u differs without y", what)
		}
	}
	one, few := s.dev.AllocAs(1, w.rows, stored), s.dev.Alloc(1, a.rows)
	s.dev.Linear(y, u, px, px, pw, tensor.Tensor{}, adapter)
	s.dev.Linear(one, few, px.Slice(2, 3), px.Slice(2, 3), pw, tensor.Tensor{}, adapter)
	if !slices.Equal(s.get(one).v, s.get(y).row(2)) || !slices.Equal(s.get(few).v, s.get(u).row(2)) {
		s.Fatalf("%s: a row differs alone", what)
	}
	wantV := times(product(dy, transpose(b), false), float64(adapter.Scale))
	want := plus(packedProductT(dy, w, dt), product(wantV, transpose(a), false))
	dx := s.put(dx0)
	s.dev.LinearBackward(dx, v, pdy, pw, adapter, true)
	s.near(what+" v", v, wantV, rounded(dt, dy, transpose(b)))
	s.near(what+" dx accumulated", dx, plus(want, dx0), rounded(dt, dy, transpose(b), transpose(a)))
	dx = s.as(stored, dx0)
	s.dev.LinearBackward(dx, v, pdy, pw, adapter, false)
	s.near(what+" dx", dx, want, rounded(dt, dy, transpose(b), transpose(a)))
}

func times(m matrix, x float64) matrix {
	m = m.clone()
	for i := range m.v {
		m.v[i] *= x
	}
	return m
}

// rounded returns the size of the errors in x·aᵀ, or x·aᵀ·bᵀ, for near: what BF16 may lose where the
// weights are BF16.
func rounded(dt dtype.DType, x matrix, factors ...matrix) float64 {
	if dt != dtype.BF16 {
		return 40
	}
	sizes := magnitudes(x)
	for _, f := range factors {
		sizes = product(sizes, magnitudes(f), false)
	}
	most := 0.0
	for _, v := range sizes.v {
		most = max(most, v)
	}
	return 40 + most/256/Tolerance
}

func magnitudes(m matrix) matrix {
	m = m.clone()
	for i, v := range m.v {
		m.v[i] = math.Abs(v)
	}
	return m
}
