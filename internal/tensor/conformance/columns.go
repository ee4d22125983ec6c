package conformance

import (
	"fmt"

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
