//go:build cuda && linux

package main

import (
	"encoding/binary"
	"fmt"

	"barka/internal/cuda"
)

// attention measures causal attention, in float32 and in bfloat16, over 8,192 queries, forward and with gradients, and
// decoding of 32 sequences. A triangle of scores counts as half of the square.
func (s *session) attention() {
	const tokens, width = 8192, 2048 // of all heads
	for _, bf16 := range []bool{false, true} {
		for _, head := range []int{64, 128, 256} {
			for _, length := range []int{512, 1024, 2048, 4096} {
				s.attend(bf16, s.size(tokens), s.size(length), width/head, head)
			}
		}
		for _, context := range []int{1024, 4096} {
			s.decode(bf16, 32, s.size(context), 8, 4, 256) // Gemma-2-2b
			s.decode(bf16, 32, s.size(context), 32, 8, 128)
		}
	}
}

// stored returns the name of a type and the bytes of a value.
func stored(bf16 bool) (string, int) {
	if bf16 {
		return "bfloat16", 2
	}
	return "float32", 4
}

// sequences brings a layout to the GPU: n sequences with so many queries and keys each, every key row
// once.
func (s *session) sequences(n, queries, keys int) cuda.Attention {
	var lists [4][]int32
	for i := range n * keys {
		lists[0] = append(lists[0], int32(i))
	}
	for i := range n + 1 {
		lists[1], lists[2] = append(lists[1], int32(i*keys)), append(lists[2], int32(i*queries))
		lists[3] = append(lists[3], int32(keys-queries))
	}
	var at [4]cuda.Pointer
	for i, l := range lists {
		at[i] = must(s.Alloc(4 * len(l)))
		bytes, err := binary.Append(nil, binary.LittleEndian, l)
		check(err)
		check(s.Upload(at[i], bytes))
	}
	return cuda.Attention{Keys: at[0], KeyStarts: at[1], Starts: at[2], Past: at[3], Sequences: n, Queries: n * queries, KeyCount: n * keys,
		Causal: true}
}

func (s *session) call(c cuda.Call) {
	s.Compute.Launch(s.kernels.Function(c.Kernel), c.X, c.Y, c.Arguments...)
}

func (s *session) attend(bf16 bool, tokens, length, heads, head int) {
	n, heads := max(tokens/length, 1), max(heads/s.divide, 1)
	name, size := stored(bf16)
	a := s.sequences(n, length, length)
	a.BF16, a.Heads, a.KVHeads, a.Width, a.Scale = bf16, heads, heads, head, 1
	bytes := size * a.Queries * heads * head
	q, k, v, dout := s.random(bytes), s.random(bytes), s.random(bytes), s.random(bytes)
	out, dq, dk, dv := must(s.Alloc(bytes)), must(s.Alloc(bytes)), must(s.Alloc(bytes)), must(s.Alloc(bytes))
	lse, delta := must(s.Alloc(4*a.Queries*heads)), must(s.Alloc(4*a.Queries*heads))
	flop := 2 * float64(a.Queries) * float64(length) * float64(heads*head) // two products of half the square
	shape := fmt.Sprintf("%d×%d, %d heads of %d", n, length, heads, head)
	t := s.seconds(10, func() { s.call(a.Forward(s.kernels, out, lse, q, k, v)[0]) })
	s.add("attend", name, shape, flop/t/1e12, "TFLOP/s")
	t = s.seconds(5, func() {
		for _, c := range a.Backward(s.kernels, false, dq, dk, dv, dout, out, lse, delta, q, k, v) {
			s.call(c)
		}
	})
	s.add("attend backward", name, shape, 2.5*flop/t/1e12, "TFLOP/s")
	s.free(q, k, v, dout, out, dq, dk, dv, lse, delta, a.Keys, a.KeyStarts, a.Starts, a.Past)
}

// decode measures one query per sequence, by the rate at which keys and values are read.
func (s *session) decode(bf16 bool, n, context, heads, kvHeads, head int) {
	heads, kvHeads = max(heads/s.divide, 1), max(kvHeads/s.divide, 1)
	name, size := stored(bf16)
	a := s.sequences(n, 1, context)
	a.BF16, a.Heads, a.KVHeads, a.Width, a.Scale = bf16, heads, kvHeads, head, 1
	bytes := size * a.KeyCount * kvHeads * head
	k, v, q, out := s.random(bytes), s.random(bytes), s.random(size*n*heads*head), must(s.Alloc(size*n*heads*head))
	t := s.seconds(20, func() { s.call(a.Forward(s.kernels, out, 0, q, k, v)[1]) })
	s.add("attend one query", name, fmt.Sprintf("%d×%d, %d/%d heads of %d", n, context, heads, kvHeads, head),
		2*float64(bytes)/t/1e12, "TB/s of keys and values")
	s.free(k, v, q, out, a.Keys, a.KeyStarts, a.Starts, a.Past)
}
