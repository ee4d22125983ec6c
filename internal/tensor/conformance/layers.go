package conformance

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

func embed(s *suite) {
	w := s.random(9, 21)
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16, dtype.F16} {
		m := tensor.Matrix{Rows: 9, Cols: 21, DType: stored, Bytes: dtype.Narrow(stored, narrow(w.v))}
		back := make([]float32, len(w.v))
		dtype.Widen(back, stored, m.Bytes)
		table, err := s.dev.Lookup(m)
		if err != nil {
			s.Fatal(err)
		}
		ids := []int32{8, 0, 3, 3}
		for _, rounded := range []bool{false, true} {
			want := zeros(4, 21)
			for i, id := range ids {
				for j := range 21 {
					want.set(i, j, round(float64(back[int(id)*21+j]*2.5), rounded))
				}
			}
			y := s.dev.Alloc(4, 21)
			s.dev.Embed(y, table, tensor.Ints{Host: ids}, 2.5, rounded)
			s.near(fmt.Sprintf("%s rounded=%v", stored, rounded), y, want)
		}
	}
}

func addRows(s *suite) {
	y, table := s.random(3, 10), s.random(7, 10)
	rows := []int32{6, 0, 6}
	want := y.clone()
	for i, r := range rows {
		for j := range 10 {
			want.set(i, j, y.at(i, j)+table.at(int(r), j))
		}
	}
	t := s.put(y)
	s.dev.AddRows(t, s.put(table), tensor.Ints{Host: rows})
	s.near("sum", t, want)
}

func rms64(x, w matrix, eps float64, one bool) matrix {
	y := zeros(x.rows, x.cols)
	for i := range x.rows {
		sum := 0.0
		for _, v := range x.row(i) {
			sum += v * v
		}
		rho := 1 / math.Sqrt(sum/float64(x.cols)+eps)
		for j, v := range x.row(i) {
			g := w.at(0, j)
			if one {
				g++
			}
			y.set(i, j, v*rho*g)
		}
	}
	return y
}

func rmsNorm(s *suite) {
	for _, width := range []int{1, 5, 16, 33} {
		for _, one := range []bool{false, true} {
			for _, stored := range s.norms() {
				s.rmsNorm(stored, width, one)
			}
		}
	}
}

// normTypes are the types of a norm's result and input, and of the gradients of its input and result.
type normTypes struct{ y, x, dx, dy tensor.Type }

// norms lists those of norms: of the residual stream, of the queries and keys, and after a layer.
func (s *suite) norms() []normTypes {
	const f, b = tensor.F32, tensor.BF16
	if s.o.Storage == f {
		return []normTypes{{}}
	}
	return []normTypes{{b, f, f, f}, {b, b, b, b}, {f, b, b, f}}
}

func (s *suite) rmsNorm(stored normTypes, width int, one bool) {
	const eps = 1e-6
	x, w, dy, dx0 := s.random(4, width), s.random(1, width), s.random(4, width), s.random(4, width)
	f := func(x matrix) matrix { return rms64(x, w, eps, one) }
	what := fmt.Sprintf("width %d, 1+w %v, %v", width, one, stored)
	px, pw, pdy := s.as(stored.x, x), s.put(w), s.as(stored.dy, dy)
	y := s.dev.AllocAs(4, width, stored.y)
	s.dev.RMSNorm(y, px, pw, eps, one)
	s.near(what, y, f(x))
	if stored.x == stored.y {
		same := s.as(stored.x, x)
		s.dev.RMSNorm(same, same, pw, eps, one)
		s.near(what+", in place", same, s.get(y))
	}
	if width == 1 {
		return // the gradient is zero but for eps
	}
	dx := s.dev.AllocAs(4, width, stored.dx)
	s.dev.RMSNormBackward(dx, pdy, px, pw, eps, one, false)
	s.gradient(what+", backward", dx, x, dy, f)
	if stored.dx == tensor.F32 {
		sum := s.put(dx0)
		s.dev.RMSNormBackward(sum, pdy, px, pw, eps, one, true)
		s.near(what+", accumulated", sum, plus(s.get(dx), dx0), 3)
	}
	if stored.dx == stored.dy {
		s.dev.RMSNormBackward(pdy, pdy, px, pw, eps, one, false)
		s.near(what+", in place", pdy, s.get(dx))
	}
}

// addRMSNorm tests the sum and its norm, with the sum in every place where it may be, and
// without a post-norm.
func addRMSNorm(s *suite) {
	const eps = 1e-6
	for _, width := range []int{1, 5, 33, 700} {
		for n := range 4 {
			with, stored := n&1 != 0, s.o.Storage // of a layer's result
			if n&2 != 0 {
				stored = tensor.F32
			}
			x, d, after, before := s.random(5, width), s.random(5, width), s.random(1, width), s.random(1, width)
			post, next := tensor.RMSNorm{}, tensor.RMSNorm{W: s.put(before), Eps: eps}
			s.as(stored, d)
			sum := plus(x, d)
			if with {
				post = tensor.RMSNorm{W: s.put(after), Eps: eps, PlusOne: true}
				sum = plus(x, rms64(d, after, eps, true))
			}
			for place := range 3 {
				if place == 1 && stored == tensor.BF16 {
					continue // sums are F32
				}
				px, pd, y := s.put(x), s.as(stored, d), s.result(5, width)
				out := []tensor.Tensor{px, pd, s.dev.Alloc(5, width)}[place]
				s.dev.AddRMSNorm(y, out, px, pd, post, next)
				what := fmt.Sprintf("width %d, post-norm %v, place %d", width, with, place)
				s.near(what+", sum", out, sum, 2)
				s.near(what, y, rms64(sum, before, eps, false), 4)
			}
		}
	}
}

func layer64(x, w, b matrix, eps float64) matrix {
	y := zeros(x.rows, x.cols)
	for i := range x.rows {
		mean, sq := 0.0, 0.0
		for _, v := range x.row(i) {
			mean += v / float64(x.cols)
		}
		for _, v := range x.row(i) {
			sq += (v - mean) * (v - mean) / float64(x.cols)
		}
		for j, v := range x.row(i) {
			y.set(i, j, (v-mean)/math.Sqrt(sq+eps)*w.at(0, j)+b.at(0, j))
		}
	}
	return y
}

func layerNorm(s *suite) {
	const eps = 1e-5
	for _, width := range []int{4, 16, 33} {
		x, w, b, dy, dx0 := s.random(4, width), s.random(1, width), s.random(1, width), s.random(4, width), s.random(4, width)
		f := func(x matrix) matrix { return layer64(x, w, b, eps) }
		px, pw := s.put(x), s.put(w)
		y := s.result(4, width)
		s.dev.LayerNorm(y, px, pw, s.put(b), eps)
		s.near(fmt.Sprint(width), y, f(x))
		dx := s.dev.Alloc(4, width)
		s.dev.LayerNormBackward(dx, s.put(dy), px, pw, eps, false)
		s.gradient(fmt.Sprint(width, " backward"), dx, x, dy, f)
		sum := s.put(dx0)
		s.dev.LayerNormBackward(sum, s.put(dy), px, pw, eps, true)
		s.near(fmt.Sprint(width, " accumulated"), sum, plus(s.get(dx), dx0), 3)
	}
}

func rotate(s *suite) {
	const heads, width = 3, 8
	freqs := []float32{1, 0.3, 0.01}
	x := s.random(4, heads*width)
	t := s.operand(x)
	positions := []int32{0, 1, 7, 1000}
	want := x.clone()
	for i, p := range positions {
		for h := range heads {
			for j, f := range freqs {
				angle := float64(float32(p) * f)
				a, b := x.at(i, h*width+j), x.at(i, h*width+j+len(freqs))
				want.set(i, h*width+j, a*math.Cos(angle)-b*math.Sin(angle))
				want.set(i, h*width+j+len(freqs), b*math.Cos(angle)+a*math.Sin(angle))
			}
		}
	}
	r := tensor.Rotary{Heads: heads, HeadDim: width, Freqs: freqs, Scale: 1}
	s.dev.Rotate(t, tensor.Ints{Host: positions}, r, false)
	s.near("forward", t, want, 2)
	s.dev.Rotate(t, tensor.Ints{Host: positions}, r, true)
	s.near("back again", t, x, 2)
}

func splitHeads(s *suite) {
	const heads, width = 3, 5
	qkv := s.random(4, 3*heads*width)
	pqkv := s.operand(qkv)
	var parts [3]matrix
	for p := range parts {
		parts[p] = zeros(4, heads*width)
		for i := range 4 {
			for h := range heads {
				for j := range width {
					parts[p].set(i, h*width+j, qkv.at(i, (3*h+p)*width+j))
				}
			}
		}
	}
	q, k, v := s.result(4, heads*width), s.result(4, heads*width), s.result(4, heads*width)
	s.dev.SplitHeads(q, k, v, pqkv, heads)
	s.near("q", q, parts[0])
	s.near("k", k, parts[1])
	s.near("v", v, parts[2])
	back := s.result(4, 3*heads*width)
	s.dev.JoinHeads(back, q, k, v, heads)
	s.near("joined", back, qkv)
}

func act64(a tensor.Activation, v float64) float64 {
	switch a {
	case tensor.GELUTanh:
		return 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	case tensor.GELUErf:
		return 0.5 * v * (1 + math.Erf(v/math.Sqrt2))
	case tensor.SiLU:
		return v / (1 + math.Exp(-v))
	}
	return max(v, 0)
}

func mapped(x matrix, f func(float64) float64) matrix {
	y := x.clone()
	for i, v := range y.v {
		y.v[i] = f(v)
	}
	return y
}

var activations = []tensor.Activation{tensor.GELUTanh, tensor.GELUErf, tensor.SiLU, tensor.ReLU}

func activate(s *suite) {
	for _, a := range activations {
		x, dy := s.random(3, 37), s.random(3, 37)
		f := func(x matrix) matrix { return mapped(x, func(v float64) float64 { return act64(a, v) }) }
		y := s.operand(x)
		s.dev.Activate(y, y, a)
		s.near(fmt.Sprint("activation ", a), y, f(x))
		dx := s.result(3, 37)
		s.dev.ActivateBackward(dx, s.operand(dy), s.operand(x), a)
		s.gradient(fmt.Sprint("activation ", a, " backward"), dx, x, dy, f)
	}
}

func gate(s *suite) {
	for _, a := range activations {
		g, u, dy := s.random(3, 41), s.random(3, 41), s.random(3, 41)
		f := func(g, u matrix) matrix {
			y := g.clone()
			for i, v := range g.v {
				y.v[i] = act64(a, v) * u.v[i]
			}
			return y
		}
		pg, pu := s.operand(g), s.operand(u)
		y := s.result(3, 41)
		s.dev.Gate(y, pg, pu, a)
		s.near(fmt.Sprint("gate ", a), y, f(g, u))
		dg, du := s.operand(dy), s.result(3, 41)
		s.dev.GateBackward(dg, du, dg, pg, pu, a) // dgate may be dy
		s.gradient(fmt.Sprint("gate ", a, " dgate"), dg, g, dy, func(g matrix) matrix { return f(g, u) })
		s.gradient(fmt.Sprint("gate ", a, " dup"), du, u, dy, func(u matrix) matrix { return f(g, u) })
	}
}

func elementwise(s *suite) {
	x, y := s.random(3, 50), s.random(3, 50)
	t := s.put(y)
	s.dev.Add(t, s.operand(x))
	s.near("sum", t, plus(y, x), 2)
	t = s.put(x)
	s.dev.Scale(t, -2.5)
	s.near("scaled", t, mapped(x, func(v float64) float64 { return -2.5 * v }), 2)
	t = s.put(x)
	s.dev.Softcap(t, 1.5)
	s.near("capped", t, mapped(x, func(v float64) float64 { return 1.5 * math.Tanh(v/1.5) }), 2)
	c := s.dev.Alloc(3, 50)
	s.dev.Copy(c, t)
	s.near("copied", c, s.get(t))
	stored := s.result(3, 50)
	s.dev.Copy(stored, t)
	s.near("copied as an operand", stored, s.get(t))
	s.dev.Copy(c, stored)
	if !slices.Equal(s.get(c).v, s.get(stored).v) {
		s.Error("the copy of an operand has other values")
	}
	s.dev.Zero(stored)
	s.near("zeroed operand", stored, zeros(3, 50))
	s.dev.Zero(c)
	s.near("zeroed", c, zeros(3, 50))
	sum := 0.0
	for _, v := range x.v {
		sum += v * v
	}
	if got := s.dev.SumSquares(s.put(x), c, s.put(x)).Get(); math.Abs(got-2*sum) > 2e-9*sum {
		s.Errorf("sum of squares %g, want %g", got, sum)
	}
}

// dropout tests that the mask depends on seed, row number and column, keeps about the
// right share, and is the same when it is computed again.
func dropout(s *suite) {
	const rate = 0.25
	ones := zeros(64, 200)
	for i := range ones.v {
		ones.v[i] = 1
	}
	rows := make([]uint64, 64)
	for i := range rows {
		rows[i] = uint64(1000 + i)
	}
	y := s.result(64, 200)
	s.dev.Dropout(y, s.operand(ones), rate, 5, tensor.Numbers{Host: rows})
	g, kept := s.get(y), 0
	for _, v := range g.v {
		if v != 0 {
			kept++
			if want := round(1/(1-rate), y.Type == tensor.BF16); math.Abs(v-want) > 1e-6 {
				s.Fatalf("a kept value is %g", v)
			}
		}
	}
	if share := float64(kept) / float64(len(g.v)); math.Abs(share-(1-rate)) > 0.02 {
		s.Errorf("%.3f of the values kept, expected %.2f", share, 1-rate)
	}
	part := s.result(2, 200)
	s.dev.Dropout(part, s.operand(matrix{2, 200, ones.v[:400]}), rate, 5, tensor.Numbers{Host: rows[10:12]})
	s.near("rows 10 and 11 alone", part, matrix{2, 200, g.v[10*200 : 12*200]})
	s.dev.Dropout(part, s.operand(matrix{2, 200, ones.v[:400]}), rate, 6, tensor.Numbers{Host: rows[10:12]})
	if fmt.Sprint(s.get(part).v) == fmt.Sprint(g.v[2000:2400]) {
		s.Error("another seed gave the same mask")
	}
}

func gatherScatter(s *suite) {
	stored := []both{{s.o.Storage, s.o.Storage}}
	if s.o.Storage == tensor.BF16 {
		stored = append(stored, both{tensor.BF16, tensor.F32}, both{tensor.F32, tensor.BF16})
	}
	for _, stored := range stored {
		s.gatherScatter(stored)
	}
}

func (s *suite) gatherScatter(stored both) {
	x := s.random(6, 9)
	px := s.as(stored[1], x)
	rows := []int32{5, 0, 2}
	want := zeros(3, 9)
	for i, r := range rows {
		copy(want.row(i), x.row(int(r)))
	}
	y := s.dev.AllocAs(3, 9, stored[0])
	s.dev.Gather(y, px, tensor.Ints{Host: rows})
	s.near(fmt.Sprint("gathered ", stored), y, want)
	base := s.random(6, 9)
	z, few := s.as(stored[0], base), s.as(stored[1], want)
	s.dev.Scatter(z, few, tensor.Ints{Host: rows})
	for i, r := range rows {
		copy(base.row(int(r)), want.row(i))
	}
	s.near(fmt.Sprint("scattered ", stored), z, base)
}

func optimiser(s *suite) {
	p, m, v := s.random(3, 30), zeros(3, 30), zeros(3, 30)
	tp, tm, tv := s.put(p), s.put(m), s.put(v)
	// The same parameter again, with gradients half as large and a factor of 2.
	other := tensor.Param{Value: s.put(p), M: s.put(m), V: s.put(v)}
	packed, x := s.dev.PackTensor(tp), s.random(4, 30)
	for step := 1; step <= 3; step++ {
		g := s.random(3, 30)
		c1, c2 := 1-math.Pow(0.9, float64(step)), 1-math.Pow(0.999, float64(step))
		for i := range p.v {
			p.v[i] *= 1 - 0.01*0.1
			m.v[i] = 0.9*m.v[i] + 0.1*g.v[i]
			v.v[i] = 0.999*v.v[i] + 0.001*g.v[i]*g.v[i]
			p.v[i] -= 0.01 / c1 * m.v[i] / (math.Sqrt(v.v[i])/math.Sqrt(c2) + 1e-8)
		}
		a := tensor.AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1,
			Correction1: float32(c1), Correction2: float32(c2)}
		grad := s.put(g)
		other.Grad = s.put(mapped(g, func(v float64) float64 { return v / 2 }))
		none := zeros(7, 700)
		still := tensor.Param{Value: s.put(none), Grad: s.put(none), M: s.put(none), V: s.put(none)}
		s.dev.Update([]tensor.Param{still, {Value: tp, Grad: grad, M: tm, V: tv, Packed: packed}}, 1, a)
		s.dev.Update([]tensor.Param{other}, 2, a)
		s.near("gradients after a step", grad, zeros(3, 30))
		s.near("gradients with a factor after a step", other.Grad, zeros(3, 30))
		s.near("parameters without gradients", still.Value, none)
		y := s.dev.Alloc(4, 3)
		s.dev.MatMul(y, s.put(x), packed, tensor.Tensor{}, false)
		s.near(fmt.Sprint("products after step ", step), y, product(x, p, false), 10)
		s.near(fmt.Sprint("parameters with a factor after step ", step), other.Value, p)
		s.near(fmt.Sprint("parameters after step ", step), tp, p)
		s.near(fmt.Sprint("first moments after step ", step), tm, m)
		s.near(fmt.Sprint("second moments after step ", step), tv, v)
	}
}
