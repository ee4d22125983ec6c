package conformance

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// listRows is the number of rows that the operations of lists work on.
const listRows = 12

// listOperations are the operations that read lists. They
// return a tensor with the result.
var listOperations = []struct {
	name string
	run  func(s *suite, b tensor.Batch) tensor.Tensor
}{
	{"Embed", func(s *suite, b tensor.Batch) tensor.Tensor {
		table, err := s.dev.Lookup(tensor.Matrix{Rows: 40, Cols: 9, DType: dtype.F32, Bytes: dtype.Bytes(narrow(s.random(40, 9).v))})
		if err != nil {
			s.Fatal(err)
		}
		y := s.dev.Alloc(listRows, 9)
		s.dev.Embed(y, table, b.Tokens, 2, false)
		return y
	}},
	{"AddRows", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.put(s.random(listRows, 9))
		s.dev.AddRows(y, s.put(s.random(40, 9)), b.Positions)
		return y
	}},
	{"Rotate", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.operand(s.random(listRows, 16))
		s.dev.Rotate(y, b.Positions, tensor.Rotary{Heads: 2, HeadDim: 8, Freqs: []float32{1, 0.3, 0.01}, Scale: 1}, false)
		return y
	}},
	{"Attend", func(s *suite, b tensor.Batch) tensor.Tensor { return s.attendOver(b.Keys) }},
	{"Attend across", func(s *suite, b tensor.Batch) tensor.Tensor { return s.attendOver(b.Source) }},
	{"AttendBackward", func(s *suite, b tensor.Batch) tensor.Tensor {
		a := tensor.Attention{Heads: 2, KVHeads: 1, HeadDim: 8, Scale: 0.3, Window: 4, Causal: true}
		q, k := s.operand(s.random(listRows, 16)), s.operand(s.random(listRows, 8))
		v, dout := s.operand(s.random(listRows, 8)), s.operand(s.random(listRows, 16))
		out, lse := s.result(listRows, 16), s.dev.Alloc(listRows, 2)
		dq, dk, dv := s.result(listRows, 16), s.result(listRows, 8), s.result(listRows, 8)
		s.dev.Attend(out, lse, q, k, v, a, b.Keys)
		s.dev.AttendBackward(dq, dk, dv, dout, out, lse, q, k, v, a, b.Keys)
		return dk
	}},
	{"Dropout", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.operand(s.random(listRows, 30))
		s.dev.Dropout(y, y, 0.5, 3, b.Numbers)
		return y
	}},
	{"Gather", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.result(len(b.Keep.Host), 9)
		s.dev.Gather(y, s.operand(s.random(40, 9)), b.Keep)
		return y
	}},
	{"Scatter", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.operand(s.random(40, 9))
		s.dev.Scatter(y, s.operand(s.random(listRows, 9)), b.Rows)
		return y
	}},
	{"ScatterAdd", func(s *suite, b tensor.Batch) tensor.Tensor {
		y := s.put(s.random(40, 9))
		s.dev.ScatterAdd(y, s.put(s.random(listRows, 9)), b.Tokens)
		return y
	}},
	{"CrossEntropy", func(s *suite, b tensor.Batch) tensor.Tensor {
		h := s.put(s.random(len(b.Targets.Host), 10))
		nll, dh := s.dev.Alloc(h.Rows, 1), s.dev.Alloc(h.Rows, h.Cols)
		s.dev.CrossEntropy(nll, dh, h, s.weight(s.random(40, 10), dtype.F32), b.Targets, b.Weights, 0)
		return dh
	}},
}

// attendOver attends to 40 rows of keys.
// replay tests steps that are the same operations on other lists and other values: one after the
// other, alternately with steps of another key and of another size.
func replay(s *suite) {
	a := tensor.Attention{Heads: 2, KVHeads: 1, HeadDim: 8, Scale: 0.3, Causal: true}
	const pool = 90
	table, k, v := s.put(s.random(20, 16)), s.operand(s.random(pool, 8)), s.operand(s.random(pool, 8))
	factor := map[string]float32{"a": 1, "b": -2}
	operations := func(key string, b tensor.Batch) tensor.Tensor {
		n := len(b.Tokens.Host)
		x, q, out := s.dev.Alloc(n, 16), s.result(n, 16), s.result(n, 16)
		s.dev.Gather(x, table, b.Tokens)
		s.dev.Scale(x, factor[key])
		s.dev.Copy(q, x)
		s.dev.Attend(out, tensor.Tensor{}, q, k, v, a, b.Keys)
		s.dev.Free(x, q)
		return out
	}
	for i := range 12 {
		n, key := []int{3, 3, 5}[i%3], []string{"a", "b"}[i/3%2]
		l := tensor.Layout{Starts: []int32{0}}
		tokens := make([]int32, n)
		for t := range n {
			rows := s.rng.Perm(pool)[:1+i*7]
			keys := make([]int32, len(rows))
			for j, r := range rows {
				keys[j] = int32(r)
			}
			tokens[t] = int32(s.rng.IntN(20))
			l.Starts, l.Past, l.Keys = append(l.Starts, int32(t+1)), append(l.Past, int32(len(keys)-1)), append(l.Keys, keys)
		}
		s.dev.Upload(k, narrow(s.random(pool, 8).v)) // as the keys of new tokens
		b := tensor.Batch{Tokens: tensor.Ints{Host: tokens}, Keys: tensor.Keys{Layout: &l}}
		prepared := s.dev.Prepare(b)
		want := operations(key, prepared)
		s.dev.Free(prepared.Memory)
		got := s.dev.Replay(key, b, func(b tensor.Batch) tensor.Tensor { return operations(key, b) })
		if !slices.Equal(s.get(got).v, s.get(want).v) {
			s.Fatalf("step %d, %d tokens, key %s: the values differ from those of the operations by themselves", i, n, key)
		}
		s.dev.Free(got, want)
	}
}

// grow tests a tensor that gets rows while it is in use, twice, as a cache does.
func grow(s *suite) {
	for range 2 {
		var t tensor.Tensor
		want := zeros(0, 70)
		for _, rows := range []int{3, 200, 9000} {
			t = s.dev.Grow(t, want.rows, rows, want.cols, s.o.Storage)
			if t.Rows != rows || t.Cols != want.cols {
				s.Fatalf("the tensor has the shape %v, want [%d,%d]", t, rows, want.cols)
			}
			for _, backed := range []int{1 + rows/3, rows} {
				s.dev.Back(t, backed)
				if more := backed - want.rows; more > 0 {
					x := s.random(more, want.cols)
					s.dev.Free(s.operand(x))
					s.dev.Upload(t.Slice(want.rows, backed), narrow(x.v))
					want = matrix{backed, want.cols, append(want.v, x.v...)}
				}
			}
			s.near(fmt.Sprintf("%d rows", rows), t, want)
		}
		s.dev.Free(t)
	}
}

func (s *suite) attendOver(l tensor.Keys) tensor.Tensor {
	out, q := s.result(listRows, 16), s.operand(s.random(listRows, 16))
	s.dev.Attend(out, tensor.Tensor{}, q, s.operand(s.random(40, 8)), s.operand(s.random(40, 8)),
		tensor.Attention{Heads: 2, KVHeads: 1, HeadDim: 8, Scale: 0.3}, l)
	return out
}

// someLists returns the lists of a pass.
func someLists() tensor.Batch {
	l, targets := tensor.Packed(5, 7), []int32{39, 0, 4, 39}
	across := tensor.Layout{Starts: []int32{0, 5, 12}, Past: []int32{0, 0}, Keys: [][]int32{{30, 2, 17}, {8}}}
	tokens, rows, numbers := make([]int32, listRows), make([]int32, listRows), make([]uint64, listRows)
	for i := range listRows {
		tokens[i], rows[i], numbers[i] = int32(i*7%5), int32(39-3*i), 1<<40+uint64(i)
	}
	return tensor.Batch{
		Tokens: tensor.Ints{Host: tokens}, Positions: tensor.Ints{Host: l.Positions()}, Rows: tensor.Ints{Host: rows},
		Keep: tensor.Ints{Host: []int32{39, 0, 1}}, Numbers: tensor.Numbers{Host: numbers},
		Keys: tensor.Keys{Layout: &l}, Source: tensor.Keys{Layout: &across},
		Targets: tensor.Ints{Host: targets}, Weights: tensor.Host(4, 1, []float32{1, -2, 0.5, 3}),
	}
}

// spoil overwrites the lists with numbers that no operation can read.
func spoil(b tensor.Batch) {
	const none = math.MaxInt32
	for _, l := range []tensor.Ints{b.Tokens, b.Positions, b.Rows, b.Keep, b.Targets} {
		copy(l.Host, slices.Repeat([]int32{none}, len(l.Host)))
	}
	for _, l := range []tensor.Keys{b.Keys, b.Source} {
		for _, list := range append([][]int32{l.Starts, l.Past}, l.Keys...) {
			copy(list, slices.Repeat([]int32{none}, len(list)))
		}
	}
	clear(b.Numbers.Host)
	clear(b.Weights.Data)
}

// lists tests that operations give the same bits with prepared lists as with others, and that
// they have read them when they return: the caller then uses their memory for something else.
func lists(s *suite) {
	for _, o := range listOperations {
		run := func(prepare bool) matrix {
			b := someLists()
			used := b
			if prepare {
				used = s.dev.Prepare(b)
			}
			result := o.run(s.seeded(), used)
			spoil(b)
			got := s.get(result)
			s.dev.Free(used.Memory)
			return got
		}
		plain, prepared := run(false), run(true)
		if fmt.Sprint(plain.v) != fmt.Sprint(prepared.v) {
			s.Errorf("%s: prepared lists give %v, others %v", o.name, prepared.v, plain.v)
		}
	}
}
