package conformance

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// columns tests ScaleColumns and ColumnDots.
func columns(s *suite) {
	for _, width := range []int{1, 16, 65, 200} {
		x, factor, bias, y := s.random(5, width), s.random(1, width), s.random(1, width), s.random(5, width)
		scaled, plain, dots := x.clone(), x.clone(), s.random(1, width)
		want := dots.clone()
		for i := range x.rows {
			for j := range width {
				plain.set(i, j, x.at(i, j)*factor.at(0, j))
				scaled.set(i, j, plain.at(i, j)+bias.at(0, j))
				want.set(0, j, want.at(0, j)+x.at(i, j)*y.at(i, j))
			}
		}
		what := fmt.Sprintf("width %d", width)
		out, px, pf := s.dev.Alloc(5, width), s.put(x), s.put(factor)
		s.dev.ScaleColumns(out, px, pf, s.put(bias))
		s.near(what, out, scaled)
		sums := s.put(dots)
		s.dev.ColumnDots(sums, px, s.put(y))
		s.near(what+", dots", sums, want, 5)
		s.dev.ScaleColumns(px, px, pf, tensor.Tensor{})
		s.near(what+", in place without bias", px, plain)
	}
}

// scatterAdd tests sums of repeated rows.
func scatterAdd(s *suite) {
	for _, width := range []int{1, 64, 150} {
		y, x := s.random(6, width), s.random(5, width)
		rows := []int32{4, 0, 4, 4, 5}
		want := y.clone()
		for i, r := range rows {
			for j := range width {
				want.set(int(r), j, want.at(int(r), j)+x.at(i, j))
			}
		}
		sums := s.put(y)
		s.dev.ScatterAdd(sums, s.put(x), tensor.Ints{Host: rows})
		s.near(fmt.Sprintf("width %d", width), sums, want, 3)
	}
}

// trainedHead tests that the gradient of a head is the change of the loss, in the chunks of
// rows that a large vocabulary takes too.
func trainedHead(s *suite) {
	const vocabulary, width, scale = 40, 6, 0.5
	h, w, before := s.random(9, width), s.random(vocabulary, width), s.random(vocabulary, width)
	targets := tensor.Ints{Host: []int32{0, 39, 7, 7, 1, 2, 3, 4, 5}}
	weight, grad := s.dev.PackTensor(s.put(w)), s.put(before)
	s.dev.Trains(weight, grad)
	nll, weights := s.dev.Alloc(9, 1), tensor.Host(9, 1, slices.Repeat([]float32{scale}, 9))
	s.dev.CrossEntropy(nll, tensor.Tensor{}, s.put(h), weight, targets, tensor.Tensor{}, 0)
	s.near("without dh", grad, before)
	s.dev.CrossEntropy(nll, s.dev.Alloc(9, width), s.put(h), weight, targets, weights, 0)
	want := before.clone()
	for i, target := range targets.Host {
		sum, logits := 0.0, make([]float64, vocabulary)
		for v := range logits {
			for j := range width {
				logits[v] += h.at(i, j) * w.at(v, j)
			}
			sum += math.Exp(logits[v])
		}
		for v := range logits {
			d := scale * math.Exp(logits[v]) / sum
			if int32(v) == target {
				d -= scale
			}
			for j := range width {
				want.set(v, j, want.at(v, j)+d*h.at(i, j))
			}
		}
	}
	s.near("with dh", grad, want, 3)
}

// unpack tests that rows come back as they were packed, from every row at which they may
// begin.
func unpack(s *suite) {
	const n, k = 300, 40
	w := s.random(n, k)
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		packed := s.weight(w, dt)
		want := w.clone()
		if dt == dtype.I8 {
			eye := zeros(n, n)
			for i := range n {
				eye.set(i, i, 1)
			}
			want = packedProductT(eye, w, dt)
		}
		for i := range want.v {
			want.v[i] = round(want.v[i], dt == dtype.BF16)
		}
		for _, from := range []int{0, 128, 256} {
			some := matrix{n - from, k, want.v[from*k:]}
			rows := s.dev.Alloc(n-from, k)
			s.dev.Unpack(rows, packed, from)
			s.near(fmt.Sprintf("%s from row %d", dt, from), rows, some)
		}
	}
}
