package conformance

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// logSoftmax returns the log-softmax of capped logits h·wᵀ.
func logSoftmax(h, w matrix, cap float64) matrix {
	y := product(h, w, false)
	for i := range y.rows {
		total := 0.0
		for j, v := range y.row(i) {
			if cap > 0 {
				v = cap * math.Tanh(v/cap)
			}
			y.set(i, j, v)
			total += math.Exp(v)
		}
		for j := range y.cols {
			y.set(i, j, y.at(i, j)-math.Log(total))
		}
	}
	return y
}

func crossEntropy(s *suite) {
	for _, cap := range []float32{0, 2} {
		for _, vocab := range []int{7, 65, 600} {
			if vocab > 65 && cap == 0 {
				continue // finite differences are slow
			}
			h, w := s.random(9, 12), s.random(vocab, 12)
			targets := make([]int32, 9)
			for i := range targets {
				targets[i] = int32(s.rng.IntN(vocab))
			}
			loss := func(h matrix) matrix {
				p, y := logSoftmax(h, w, float64(cap)), zeros(9, 1)
				for i, t := range targets {
					y.set(i, 0, -p.at(i, int(t)))
				}
				return y
			}
			what := fmt.Sprintf("cap %g, vocabulary %d", cap, vocab)
			nll, dh := s.dev.Alloc(9, 1), s.dev.Alloc(9, 12)
			each, weights, sum := s.random(9, 1), make([]float32, 9), 0.0
			for i, v := range each.v {
				weights[i] = float32(v) // of either sign
			}
			s.dev.CrossEntropy(nll, dh, s.put(h), s.weight(w, dtype.F32), tensor.Ints{Host: targets}, tensor.Host(9, 1, weights), cap)
			got := s.get(nll)
			for i, want := range loss(h).v {
				if math.Abs(got.v[i]-want) > Tolerance*max(1, want) {
					s.Errorf("%s: loss %d is %g, want %g", what, i, got.v[i], want)
				}
				sum += got.v[i] * float64(weights[i])
			}
			if dot := s.dev.Dot(nll, tensor.Host(9, 1, weights)).Get(); math.Abs(dot-sum) > 1e-12 {
				s.Errorf("%s: sum of weighted losses %g, want %g", what, dot, sum)
			}
			s.gradient(what, dh, h, each, loss)
			again := s.dev.Alloc(9, 1)
			s.dev.CrossEntropy(again, tensor.Tensor{}, s.put(h), s.weight(w, dtype.F32), tensor.Ints{Host: targets}, tensor.Tensor{}, cap)
			if !slices.Equal(got.v, s.get(again).v) {
				s.Errorf("%s: losses differ without a gradient", what)
			}
		}
	}
}

func logProbs(s *suite) {
	for _, vocab := range []int{40, 257, 900} {
		s.logProbs(vocab)
	}
}

func (s *suite) logProbs(vocab int) {
	h, w := s.random(6, 12), s.random(vocab, 12)
	p := logSoftmax(h, w, 3)
	targets := []int32{0, int32(vocab - 1), 5, 5, 17, 2}
	for i := range 3 { // some of them the most likely
		best := 0
		for j, v := range p.row(i) {
			if v > p.at(i, best) {
				best = j
			}
		}
		targets[i] = int32(best)
	}
	copy(w.row(6), w.row(5)) // equal logits: the lower token ranks first
	p = logSoftmax(h, w, 3)
	targets[4], targets[5] = 6, 5
	scores := s.dev.LogProbs(s.put(h), s.weight(w, dtype.F32), tensor.Ints{Host: targets}, 3, true)
	plain := s.dev.LogProbs(s.put(h), s.weight(w, dtype.F32), tensor.Ints{Host: targets}, 3, false).Get()
	logp, greedy, ranks := scores.Get().LogP, scores.Get().Greedy, scores.Get().Ranks
	if plain.Ranks != nil || !slices.Equal(plain.LogP, logp) || !slices.Equal(plain.Greedy, greedy) {
		s.Errorf("without ranks %v, with them %v", plain, scores.Get())
	}
	for i, t := range targets {
		if math.Abs(float64(logp[i])-p.at(i, int(t))) > 1e-4 {
			s.Errorf("row %d: %g, want %g", i, logp[i], p.at(i, int(t)))
		}
		if want := p.at(i, int(t)) == slices.Max(p.row(i)); greedy[i] != want {
			s.Errorf("row %d: greedy %v, want %v", i, greedy[i], want)
		}
		if least, most := rankOf(p.row(i), int(t)); int(ranks[i]) < least || int(ranks[i]) > most || greedy[i] != (ranks[i] == 1) {
			s.Errorf("row %d: rank %d, want %d to %d", i, ranks[i], least, most)
		}
	}
}

// rankOf returns the least and the largest rank of token t that differences of 1e-5
// between values allow. Equal values rank in the order of the tokens.
func rankOf(values []float64, t int) (least, most int) {
	least, most = 1, 1
	for j, v := range values {
		if d := v - values[t]; d > 1e-5 || d == 0 && j < t {
			least++
			most++
		} else if d != 0 && d > -1e-5 {
			most++
		}
	}
	return least, most
}

// headTypes tests that a head of every type has the logits of its products, although it
// need not store them.
func headTypes(s *suite) {
	const rows, vocab, in = 7, 700, 40
	h, w := s.random(rows, in), s.random(vocab, in)
	targets := make([]int32, rows)
	for i := range targets {
		targets[i] = int32(s.rng.IntN(vocab))
	}
	for _, dt := range types {
		pw, y := s.weight(w, dt), s.dev.Alloc(rows, vocab)
		s.dev.MatMul(y, s.put(h), pw, tensor.Tensor{}, false)
		logits := s.get(y)
		losses := s.dev.Alloc(rows, 1)
		scores := s.dev.LogProbs(s.put(h), pw, tensor.Ints{Host: targets}, 0, true).Get()
		logp, ranks := scores.LogP, scores.Ranks
		s.dev.CrossEntropy(losses, tensor.Tensor{}, s.put(h), pw, tensor.Ints{Host: targets}, tensor.Tensor{}, 0)
		nll := s.get(losses).v
		for i, best := range s.dev.TopK(s.put(h), pw, 3, 0, nil, nil).Get() {
			total := 0.0
			for _, v := range logits.row(i) {
				total += math.Exp(v)
			}
			want := logits.at(i, int(targets[i])) - math.Log(total)
			if math.Abs(float64(logp[i])-want) > 1e-4 || math.Abs(float64(nll[i])+want) > 1e-4 {
				s.Errorf("%s, row %d: log-probability %g, loss %g, want %g", dt, i, logp[i], nll[i], want)
			}
			if logits.at(i, int(best.Tokens[0])) != slices.Max(logits.row(i)) {
				s.Errorf("%s, row %d: token %d is not the most likely", dt, i, best.Tokens[0])
			}
			before := 0 // of the logits that the product stored, without tolerance
			for j, v := range logits.row(i) {
				if own := logits.at(i, int(targets[i])); v > own || v == own && j < int(targets[i]) {
					before++
				}
			}
			if int(ranks[i]) != before+1 {
				s.Errorf("%s, row %d: rank %d, want %d", dt, i, ranks[i], before+1)
			}
		}
	}
}

func topK(s *suite) {
	for _, vocab := range []int{50, 1100} {
		s.topK(vocab)
	}
}

func (s *suite) topK(vocab int) {
	h, w := s.random(5, 12), s.random(vocab, 12)
	// Two equal tokens: the lower comes first.
	copy(w.row(30), w.row(10))
	copy(w.row(vocab-1), w.row(11))
	p := logSoftmax(h, w, 0)
	banned := [][]int32{nil, {3, 10}, nil, {0}, nil}
	for _, bans := range [][][]int32{nil, banned} {
		for _, k := range []int{0, 1, 7, 50, vocab + 10} {
			got := s.dev.TopK(s.put(h), s.weight(w, dtype.F32), k, 0, bans, nil).Get()
			for i := range 5 {
				var order []int32
				for t := range int32(vocab) {
					if bans == nil || !slices.Contains(bans[i], t) {
						order = append(order, t)
					}
				}
				slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(p.at(i, int(b)), p.at(i, int(a))) })
				n := min(k, len(order))
				tokens := got[i].Tokens[:min(n, len(got[i].Tokens))]
				if !slices.Equal(tokens, order[:n]) {
					s.Fatalf("k %d, row %d: tokens %v, want %v", k, i, tokens, order[:n])
				}
				for j, t := range tokens {
					if math.Abs(float64(got[i].LogP[j])-p.at(i, int(t))) > 1e-4 {
						s.Fatalf("k %d, row %d: log-probability %d is %g, want %g", k, i, j, got[i].LogP[j], p.at(i, int(t)))
					}
				}
			}
		}
	}
}

// invariance tests that rows give the same bits alone and among others, in the operations
// that sum over more than a row's own values.
func invariance(s *suite) {
	const rows, in, outputs = 29, 70, 600
	x, dy, w := s.random(rows, in), s.random(rows, outputs), s.random(outputs, in)
	for _, dt := range types {
		pw := s.weight(w, dt)
		stored := s.of(dt)
		whole, wholeT, px := s.dev.AllocAs(rows, outputs, stored), s.dev.AllocAs(rows, in, stored), s.as(stored, x)
		s.dev.MatMul(whole, px, pw, tensor.Tensor{}, false)
		s.dev.MatMulT(wholeT, s.as(stored, dy), pw, false)
		top := s.dev.TopK(px, pw, 5, 0, nil, nil).Get()
		for i := range rows {
			one, oneT := s.dev.AllocAs(1, outputs, stored), s.dev.AllocAs(1, in, stored)
			px := s.as(stored, matrix{1, in, x.row(i)})
			s.dev.MatMul(one, px, pw, tensor.Tensor{}, false)
			s.dev.MatMulT(oneT, s.as(stored, matrix{1, outputs, dy.row(i)}), pw, false)
			if !slices.Equal(s.get(one).v, s.get(whole).row(i)) || !slices.Equal(s.get(oneT).v, s.get(wholeT).row(i)) {
				s.Fatalf("%s: row %d differs alone", dt, i)
			}
			if c := s.dev.TopK(px, pw, 5, 0, nil, nil).Get()[0]; !slices.Equal(c.Tokens, top[i].Tokens) || !slices.Equal(c.LogP, top[i].LogP) {
				s.Fatalf("%s: best tokens of row %d differ alone", dt, i)
			}
		}
	}
	a := tensor.Attention{Heads: 4, KVHeads: 2, HeadDim: 16, Scale: 0.25, Softcap: 5, Window: 9, Causal: true}
	l := tensor.Packed(3, 20, 6)
	q, k, v := s.random(rows, 64), s.random(rows, 32), s.random(rows, 32)
	whole := s.result(rows, 64)
	s.dev.Attend(whole, tensor.Tensor{}, s.operand(q), s.operand(k), s.operand(v), a, tensor.Keys{Layout: &l})
	for n := range l.Past {
		lo, hi := int(l.Starts[n]), int(l.Starts[n+1])
		part := func(m matrix) tensor.Tensor { return s.operand(matrix{hi - lo, m.cols, m.v[lo*m.cols : hi*m.cols]}) }
		alone := tensor.Packed(hi - lo)
		out := s.result(hi-lo, 64)
		s.dev.Attend(out, tensor.Tensor{}, part(q), part(k), part(v), a, tensor.Keys{Layout: &alone})
		if !slices.Equal(s.get(out).v, s.get(whole).v[lo*64:hi*64]) {
			s.Fatalf("sequence %d attends differently alone", n)
		}
	}
}

// selected tests that chosen rows of a weight have the bits of the whole one's products, and
// that rows with extra tokens choose among those and the head's.
func selected(s *suite) {
	const vocab, in = 700, 80
	for _, dt := range types {
		for _, n := range []int{1, 32, 333} {
			h, w := s.put(s.random(31, in)), s.weight(s.random(vocab, in), dt)
			order := make([]int32, vocab)
			for i, t := range s.rng.Perm(vocab) {
				order[i] = int32(t)
			}
			some := order[:n]
			head, all, own := s.dev.Select(w, some), s.dev.Alloc(h.Rows, vocab), s.dev.Alloc(h.Rows, n)
			if rows, cols := head.Dims(); rows != n || cols != in || head.DType() != dt {
				s.Fatalf("%s: selected [%d %d] of %s, want [%d %d]", dt, rows, cols, head.DType(), n, in)
			}
			s.dev.MatMul(all, h, w, tensor.Tensor{}, false)
			s.dev.MatMul(own, h, head, tensor.Tensor{}, false)
			logits, chosen := s.get(all), s.get(own)
			for i := range h.Rows {
				for j, t := range some {
					if chosen.at(i, j) != logits.at(i, int(t)) {
						s.Fatalf("%s, row %d: product %d of the selected rows is %g, want %g", dt, i, j, chosen.at(i, j), logits.at(i, int(t)))
					}
				}
			}
			s.extra(h, w, order, n, logits)
		}
	}
}

// extra tests TopK with extra tokens. The head has the first n tokens of order.
func (s *suite) extra(h tensor.Tensor, w tensor.Weight, order []int32, n int, logits matrix) {
	ranges := [][4]int{{1, 6, n, n + 1}, {6, 7, n + 3, n + 303}, {20, 31, n, n + 40}} // rows and tokens
	extra, tokens := []tensor.Extra{}, make([][]int32, h.Rows)
	for i := range tokens {
		tokens[i] = order[:n]
	}
	for _, r := range ranges {
		extra = append(extra, tensor.Extra{W: s.dev.Select(w, order[r[2]:r[3]]), Lo: r[0], Hi: r[1]})
		for i := r[0]; i < r[1]; i++ {
			tokens[i] = slices.Concat(order[:n], order[r[2]:r[3]])
		}
	}
	k := min(9, n)
	for i, c := range s.dev.TopK(h, s.dev.Select(w, order[:n]), k, 0, nil, extra).Get() {
		total, ids := 0.0, make([]int32, len(tokens[i]))
		for j, t := range tokens[i] {
			total += math.Exp(logits.at(i, int(t)))
			ids[j] = int32(j)
		}
		slices.SortFunc(ids, func(a, b int32) int {
			return cmp.Or(cmp.Compare(logits.at(i, int(tokens[i][b])), logits.at(i, int(tokens[i][a]))), cmp.Compare(a, b))
		})
		if !slices.Equal(c.Tokens, ids[:k]) {
			s.Fatalf("row %d of %d tokens: %v, want %v", i, len(ids), c.Tokens, ids[:k])
		}
		for j, id := range ids[:k] {
			if want := logits.at(i, int(tokens[i][id])) - math.Log(total); math.Abs(float64(c.LogP[j])-want) > 1e-4 {
				s.Fatalf("row %d: log-probability %d is %g, want %g", i, j, c.LogP[j], want)
			}
		}
	}
}

// screen tests that a head with a screen of integers finds the tokens of the head itself, with
// nearly its log-probabilities.
func screen(s *suite) {
	const vocab, in = 900, 128
	for _, dt := range types {
		for _, softcap := range []float32{0, 5} {
			h, w := s.random(21, in), s.weight(s.random(vocab, in), dt)
			for i := range h.v {
				h.v[i] /= 4 // so that other tokens than the best count in the sums
			}
			banned := make([][]int32, h.rows)
			banned[3], banned[4] = []int32{5, 800}, []int32{0}
			x := s.put(h)
			for _, k := range []int{1, 10, 60} {
				want := s.dev.TopK(x, w, k, softcap, banned, nil).Get()
				got := s.dev.TopK(x, s.dev.Screen(w), k, softcap, banned, nil).Get()
				for i := range want {
					if n := min(k, 20); !slices.Equal(got[i].Tokens[:n], want[i].Tokens[:n]) || len(got[i].Tokens) != k {
						s.Fatalf("%s, row %d: tokens %v, want %v", dt, i, got[i].Tokens, want[i].Tokens)
					}
					for j, p := range got[i].LogP[:min(k, 20)] {
						if math.Abs(float64(p-want[i].LogP[j])) > 1e-2 {
							s.Errorf("%s, row %d: log-probability %d is %g, want %g", dt, i, j, p, want[i].LogP[j])
						}
					}
				}
			}
		}
	}
}
