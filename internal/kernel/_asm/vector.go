package main

import "fmt"

// width describes one vector size.
type width struct {
	name     string // suffix of function names
	requires string // instruction sets
	reg      string // register letter
	n        int    // float32 lanes
	zero     string // the instruction that clears a register
}

var (
	w512 = width{"AVX512", "AVX-512", "Z", 16, "VPXORQ"}
	w256 = width{"AVX2", "AVX2 and FMA", "Y", 8, "VXORPS"}
)

func (w width) r(i int) string { return fmt.Sprintf("%s%d", w.reg, i) }

func (w width) clear(f *file, i int) { f.op("%s %s, %s, %s", w.zero, w.r(i), w.r(i), w.r(i)) }

// horizontal adds the lanes of register i into X<i>, pairwise by halves.
func (w width) horizontal(f *file, i, tmp int) {
	if w.n == 16 {
		f.op("VEXTRACTF64X4 $1, Z%d, Y%d", i, tmp)
		f.op("VADDPS Y%d, Y%d, Y%d", tmp, i, i)
	}
	f.op("VEXTRACTF128 $1, Y%d, X%d", i, tmp)
	f.op("VADDPS X%d, X%d, X%d", tmp, i, i)
	f.op("VPERMILPS $0x4e, X%d, X%d", i, tmp)
	f.op("VADDPS X%d, X%d, X%d", tmp, i, i)
	f.op("VPERMILPS $0xb1, X%d, X%d", i, tmp)
	f.op("VADDSS X%d, X%d, X%d", tmp, i, i)
}

// vector writes sums and updates over blocks of 16 values. The callers handle
// the values that fill no block.
func vector() *file {
	f := newFile("vector")
	for _, w := range []width{w512, w256} {
		dot(f, w)
		axpy(f, w)
		sumSquares(f, w)
	}
	return f
}

// dot writes the dot product. It has four accumulators, which hide the latency
// of the multiply-adds. They are added as (0+1)+(2+3).
func dot(f *file, w width) {
	f.text(routine{
		name: "dot" + w.name, params: "a, b *float32, blocks int", result: "float32",
		does: "returns Σ a[i]·b[i] over blocks of 16 values", twin: "dotGeneric", requires: w.requires,
	})
	f.op("MOVQ a+0(FP), AX")
	f.op("MOVQ b+8(FP), BX")
	f.op("MOVQ blocks+16(FP), CX")
	for i := range 4 {
		w.clear(f, i)
	}
	step := 4 * w.n * 4
	per := 4 * w.n / 16 // blocks of 16 per iteration
	f.label("four")
	f.op("CMPQ CX, $%d", per)
	f.op("JLT one")
	for i := range 4 {
		f.op("VMOVUPS %d(AX), %s", i*w.n*4, w.r(4+i))
		f.op("VFMADD231PS %d(BX), %s, %s", i*w.n*4, w.r(4+i), w.r(i))
	}
	f.op("ADDQ $%d, AX", step)
	f.op("ADDQ $%d, BX", step)
	f.op("SUBQ $%d, CX", per)
	f.op("JMP four")
	f.label("one")
	f.op("TESTQ CX, CX")
	f.op("JZ done")
	for i := range 16 / w.n {
		f.op("VMOVUPS %d(AX), %s", i*w.n*4, w.r(4+i))
		f.op("VFMADD231PS %d(BX), %s, %s", i*w.n*4, w.r(4+i), w.r(i))
	}
	f.op("ADDQ $64, AX")
	f.op("ADDQ $64, BX")
	f.op("DECQ CX")
	f.op("JMP one")
	f.label("done")
	f.op("VADDPS %s, %s, %s", w.r(1), w.r(0), w.r(0))
	f.op("VADDPS %s, %s, %s", w.r(3), w.r(2), w.r(2))
	f.op("VADDPS %s, %s, %s", w.r(2), w.r(0), w.r(0))
	w.horizontal(f, 0, 1)
	f.op("VMOVSS X0, ret+24(FP)")
	f.end()
}

// axpy writes y += alpha·x.
func axpy(f *file, w width) {
	f.text(routine{
		name: "axpy" + w.name, params: "alpha float32, x, y *float32, blocks int",
		does: "sets y[i] = y[i] + alpha·x[i] for blocks of 16 values", twin: "axpyGeneric", requires: w.requires,
	})
	f.op("VBROADCASTSS alpha+0(FP), %s", w.r(0))
	f.op("MOVQ x+8(FP), AX")
	f.op("MOVQ y+16(FP), BX")
	f.op("MOVQ blocks+24(FP), CX")
	f.label("loop")
	for i := range 16 / w.n {
		f.op("VMOVUPS %d(BX), %s", i*w.n*4, w.r(1+i))
		f.op("VFMADD231PS %d(AX), %s, %s", i*w.n*4, w.r(0), w.r(1+i))
		f.op("VMOVUPS %s, %d(BX)", w.r(1+i), i*w.n*4)
	}
	f.op("ADDQ $64, AX")
	f.op("ADDQ $64, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// sumSquares writes the sum of squares. Each of the 16 values of a block has its
// own float64 lane.
func sumSquares(f *file, w width) {
	f.text(routine{
		name: "sumSquares" + w.name, params: "x *float32, blocks int", result: "float64",
		does: "returns Σ x[i]² in float64 over blocks of 16 values", twin: "sumSquaresGeneric", requires: w.requires,
	})
	f.op("MOVQ x+0(FP), AX")
	f.op("MOVQ blocks+8(FP), CX")
	n := w.n / 2 // float64 lanes
	parts := 16 / n
	for i := range parts {
		w.clear(f, i)
	}
	f.label("loop")
	for i := range parts {
		f.op("VCVTPS2PD %d(AX), %s", i*n*4, w.r(8+i))
		f.op("VFMADD231PD %s, %s, %s", w.r(8+i), w.r(8+i), w.r(i))
	}
	f.op("ADDQ $64, AX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	for s := parts / 2; s > 0; s /= 2 {
		for i := range s {
			f.op("VADDPD %s, %s, %s", w.r(i+s), w.r(i), w.r(i))
		}
	}
	if w.n == 16 {
		f.op("VEXTRACTF64X4 $1, Z0, Y1")
		f.op("VADDPD Y1, Y0, Y0")
	}
	f.op("VEXTRACTF128 $1, Y0, X1")
	f.op("VADDPD X1, X0, X0")
	f.op("VPERMILPD $1, X0, X1")
	f.op("VADDSD X1, X0, X0")
	f.op("VMOVSD X0, ret+16(FP)")
	f.end()
}
