package main

import (
	"fmt"
	"math"
)

// hadamard writes the steps of the Hadamard transform (function Hadamard).
func hadamard() *file {
	f := newFile("hadamard")
	for h := 1; h < 16; h *= 2 {
		var signs [16]uint32 // +1 for the sum of a pair, -1 for its difference
		for i := range signs {
			signs[i] = 0x3f800000 | uint32(i/h%2)<<31
		}
		f.vectors[signsOf(h)] = signs
	}
	for _, w := range []width{w512, w256} {
		hadamard16(f, w)
		butterflies(f, w)
	}
	hadamard512(f)
	return f
}

func signsOf(h int) string { return fmt.Sprintf("signs%d", h) }

// hadamard16 writes the four steps within 16 values. Steps within a register add a
// permuted copy to the values times ±1: the product is exact, so that the result is
// that of one addition or subtraction.
func hadamard16(f *file, w width) {
	f.text(routine{
		name: "hadamard16" + w.name, params: "y, x *float32, blocks int",
		does: "sets y to x with each block of 16 values transformed", twin: "butterfliesGeneric", requires: w.requires,
	})
	f.op("MOVQ y+0(FP), DI")
	f.op("MOVQ x+8(FP), SI")
	f.op("MOVQ blocks+16(FP), CX")
	swaps := []string{"VPERMILPS $0xb1, %s, %s", "VPERMILPS $0x4e, %s, %s"}
	if w.n == 16 {
		swaps = append(swaps, "VSHUFF32X4 $0xb1, %[1]s, %[1]s, %[2]s", "VSHUFF32X4 $0x4e, %[1]s, %[1]s, %[2]s")
	} else {
		swaps = append(swaps, "VPERM2F128 $0x01, %[1]s, %[1]s, %[2]s")
	}
	for i := range swaps {
		f.op("VMOVUPS %s<>(SB), %s", signsOf(1<<i), w.r(8+i))
	}
	f.label("loop")
	for v := range 16 / w.n {
		f.op("VMOVUPS %d(SI), %s", 4*w.n*v, w.r(2*v))
	}
	for i, swap := range swaps {
		for v := range 16 / w.n {
			x, t := w.r(2*v+i%2), w.r(2*v+1-i%2)
			f.op(swap, x, t)
			f.op("VFMADD231PS %s, %s, %s", w.r(8+i), x, t)
		}
	}
	if at := len(swaps) % 2; w.n == 8 { // the last step is between the registers
		f.op("VADDPS %s, %s, %s", w.r(2+at), w.r(at), w.r(4))
		f.op("VSUBPS %s, %s, %s", w.r(2+at), w.r(at), w.r(5))
		f.op("VMOVUPS %s, (DI)", w.r(4))
		f.op("VMOVUPS %s, 32(DI)", w.r(5))
	} else {
		f.op("VMOVUPS %s, (DI)", w.r(at))
	}
	f.op("ADDQ $64, DI")
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// butterflies writes a step between values that are whole blocks apart.
func butterflies(f *file, w width) {
	f.text(routine{
		name: "butterflies" + w.name, params: "x *float32, half, pairs int",
		does: "replaces a and b by a+b and a-b, for pairs of neighbouring runs a and b of half blocks of 16 values",
		twin: "butterfliesGeneric", requires: w.requires,
	})
	f.op("MOVQ x+0(FP), SI")
	f.op("MOVQ half+8(FP), BX")
	f.op("MOVQ pairs+16(FP), CX")
	f.op("SHLQ $6, BX")
	f.label("pair")
	f.op("LEAQ (SI)(BX*1), DI")
	f.op("MOVQ DI, R8") // the end of a
	f.label("loop")
	for v := range 16 / w.n {
		at := 4 * w.n * v
		f.op("VMOVUPS %d(SI), %s", at, w.r(0))
		f.op("VMOVUPS %d(DI), %s", at, w.r(1))
		f.op("VADDPS %s, %s, %s", w.r(1), w.r(0), w.r(2))
		f.op("VSUBPS %s, %s, %s", w.r(1), w.r(0), w.r(3))
		f.op("VMOVUPS %s, %d(SI)", w.r(2), at)
		f.op("VMOVUPS %s, %d(DI)", w.r(3), at)
	}
	f.op("ADDQ $64, SI")
	f.op("ADDQ $64, DI")
	f.op("CMPQ SI, R8")
	f.op("JNE loop")
	f.op("MOVQ DI, SI")
	f.op("DECQ CX")
	f.op("JNZ pair")
	f.end()
}

// hadamard512 writes the transform of blocks of 512 values in two passes over memory: the
// steps within 64 values in four registers, the others in eight.
func hadamard512(f *file) {
	f.text(routine{
		name: "hadamard512AVX512", params: "y, x *float32, blocks int",
		does: "sets y to x with each block of 512 values transformed and divided by √512", twin: "transformBlock", requires: "AVX-512",
	})
	scale := f.constant("scale512", math.Float32bits(float32(1/math.Sqrt(512))))
	f.op("MOVQ y+0(FP), DI")
	f.op("MOVQ x+8(FP), SI")
	f.op("MOVQ blocks+16(FP), CX")
	swaps := []string{"VPERMILPS $0xb1, %s, %s", "VPERMILPS $0x4e, %s, %s",
		"VSHUFF32X4 $0xb1, %[1]s, %[1]s, %[2]s", "VSHUFF32X4 $0x4e, %[1]s, %[1]s, %[2]s"}
	for i := range swaps {
		f.op("VMOVUPS %s<>(SB), Z%d", signsOf(1<<i), 16+i)
	}
	f.op("VBROADCASTSS %s, Z20", scale)
	f.label("block")
	f.op("MOVQ $8, BX")
	f.label("near")
	for v := range 4 {
		f.op("VMOVUPS %d(SI), Z%d", 64*v, v)
	}
	for i, swap := range swaps {
		for v := range 4 {
			x, t := fmt.Sprintf("Z%d", v+4*(i%2)), fmt.Sprintf("Z%d", v+4-4*(i%2))
			f.op(swap, x, t)
			f.op("VFMADD231PS Z%d, %s, %s", 16+i, x, t)
		}
	}
	for v, r := range between(f, 4, 0, 8) {
		f.op("VMOVUPS Z%d, %d(DI)", r, 64*v)
	}
	f.op("ADDQ $256, SI")
	f.op("ADDQ $256, DI")
	f.op("DECQ BX")
	f.op("JNZ near")
	f.op("SUBQ $2048, DI")
	f.op("MOVQ $4, BX")
	f.label("far")
	for v := range 8 {
		f.op("VMOVUPS %d(DI), Z%d", 256*v, v)
	}
	for v, r := range between(f, 8, 0, 8) {
		f.op("VMULPS Z20, Z%d, Z%d", r, r)
		f.op("VMOVUPS Z%d, %d(DI)", r, 256*v)
	}
	f.op("ADDQ $64, DI")
	f.op("DECQ BX")
	f.op("JNZ far")
	f.op("ADDQ $%d, DI", 2048-256)
	f.op("DECQ CX")
	f.op("JNZ block")
	f.end()
}

// between writes the steps between n registers, alternately from first and second on. It
// returns the registers of the results.
func between(f *file, n, first, second int) []int {
	for h := 1; h < n; h *= 2 {
		for i := range n {
			if i&h == 0 {
				f.op("VADDPS Z%d, Z%d, Z%d", first+i+h, first+i, second+i)
				f.op("VSUBPS Z%d, Z%d, Z%d", first+i+h, first+i, second+i+h)
			}
		}
		first, second = second, first
	}
	results := make([]int, n)
	for i := range results {
		results[i] = first + i
	}
	return results
}
