//go:build cuda && linux

package main

import (
	"fmt"

	"barka/internal/cuda"
)

// rank of the adapters whose products are measured.
const rank = 128

// families measures the products beside y = x·Wᵀ of bfloat16: gradients of rows and of weights, float32,
// 8-bit integers, and the conversions before them.
func (s *session) families() {
	const rows = 8192
	for _, nk := range gemma2b {
		s.family(cuda.ProductBF16T, rows, nk[1], nk[0]) // dx [T,K] = dy [T,N]·W
	}
	width, hidden := 2304, 9216
	s.family(cuda.ProductF32, rows, rank, width)
	s.family(cuda.ProductF32, rows, width, rank)
	s.family(cuda.ProductF32T, rows, rank, width)
	s.family(cuda.ProductF32T, rows, hidden, rank)
	s.family(cuda.ProductGrad, rank, width, rows) // [r,K] of rows tokens
	s.family(cuda.ProductGrad, hidden, rank, rows)
	for _, T := range []int{rows, 64, 1} {
		s.family(cuda.ProductI8, T, 2*hidden, width)
	}
	s.conversions(s.size(rows), s.size(width))
}

// family measures all kernels of a family at one shape. Operands have room for 4 bytes a value.
func (s *session) family(name string, T, N, K int) {
	if T > 1 {
		T = s.size(T)
	}
	N, K = s.size(N), (s.size(K)+63)/64*64
	o := cuda.Operands{T: T, N: N, K: K, Ldx: K, Ldw: K, Ldy: N, Flags: cuda.OutF32, Chunk: K, Parts: 1}
	switch name {
	case cuda.ProductBF16T, cuda.ProductF32T:
		o.Ldw = N
	case cuda.ProductGrad: // as GradWeight does for so many tokens
		o.Ldx, o.Ldw, o.Chunk = T, N, min(2048, K)
		o.Parts = (K + o.Chunk - 1) / o.Chunk
	case cuda.ProductI8:
		o.Ldxs, o.Ldws = K/64, K/64
		o.XScales, o.WScales = s.random(4*T*o.Ldxs), s.random(2*N*o.Ldws)
	}
	o.Y, o.X, o.W = must(s.Alloc(4*T*N*o.Parts)), s.random(4*T*K), s.random(4*N*K)
	flop := 2 * float64(T) * float64(N) * float64(K)
	for _, p := range s.kernels.Products(name) {
		if p.Tokens < T && p.Tokens <= 16 && T > 512 {
			continue // for few rows
		}
		calls := int(min(max(0.02/(flop/200e12), 3), 50))
		t := s.seconds(calls, func() { p.Launch(s.Compute, o) })
		if T == 1 {
			s.add(name, p.Name, shapeText(T, N, K), float64(N*K)/t/1e12, "TB/s of weights")
		} else {
			s.add(name, p.Name, shapeText(T, N, K), flop/t/1e12, "TFLOP/s")
		}
	}
	s.free(o.Y, o.X, o.W)
	if o.XScales != 0 {
		s.free(o.XScales, o.WScales)
	}
}

// conversions measures what brings T rows of K float32 values into the types of products.
func (s *session) conversions(T, K int) {
	x, y, scales := s.random(4*T*K), must(s.Alloc(4*T*K)), must(s.Alloc(4*T*(K/64+1)))
	shape, grid := fmt.Sprintf("%d×%d", T, K), 16*s.Processors
	measure := func(name string, bytes float64, arguments ...cuda.Argument) {
		f := s.kernels.Function(name)
		t := s.seconds(20, func() { s.Compute.Launch(f, grid, 1, arguments...) })
		s.add("rows", name, shape, bytes*float64(T)*float64(K)/t/1e12, "TB/s")
	}
	measure("rows_f32_to_bf16", 6, cuda.Argument(y), cuda.Argument(x), cuda.Int(K), cuda.Int(K), cuda.Int(K), cuda.Int(K), cuda.Size(T), 0)
	measure("quantize_rows", 5, cuda.Argument(y), cuda.Argument(scales), cuda.Argument(x), cuda.Int(K), cuda.Int(K), cuda.Int(K/64+1),
		cuda.Size(T), 0)
	measure("hadamard", 8, cuda.Argument(y), cuda.Argument(x), cuda.Int(K), cuda.Size(T), cuda.Int(0))
	s.free(x, y, scales)
}
