package main

import (
	"fmt"
	"math"
)

// functions writes exp, tanh and the tanh GELU over blocks of 16 values.
func functions() *file {
	f := newFile("functions_amd64.s")
	for _, w := range []width{w512, w256} {
		unary(f, w, "exp", func(x int) { exp(f, w, x, x+1, x+2, x+3) })
		unary(f, w, "tanh", func(x int) { tanh(f, w, x) })
		geluGate(f, w)
		geluGateBackward(f, w)
	}
	return f
}

func unary(f *file, w width, name string, body func(x int)) {
	f.text("Requires: "+w.name, name+w.name, 24)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ blocks+16(FP), CX")
	f.label("loop")
	for i := range 16 / w.n {
		f.op("VMOVUPS %d(SI), %s", i*w.n*4, w.r(0))
		body(0)
		f.op("VMOVUPS %s, %d(DI)", w.r(0), i*w.n*4)
	}
	f.op("ADDQ $64, SI")
	f.op("ADDQ $64, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// load broadcasts a float32 constant into register r.
func (w width) load(f *file, value float64, r int) {
	bits := math.Float32bits(float32(value))
	f.op("VBROADCASTSS %s, %s", f.constant(fmt.Sprintf("c%08x", bits), bits), w.r(r))
}

func (w width) loadBits(f *file, bits uint32, r int) {
	f.op("VBROADCASTSS %s, %s", f.constant(fmt.Sprintf("c%08x", bits), bits), w.r(r))
}

// exp replaces register x by eˣ, with three registers of scratch: x = n·ln2 +
// r, |r| ≤ ln2/2, a polynomial of degree 6 for eʳ (coefficients of Cephes'
// expf), and the exponent added. Results below 2⁻¹²⁶ are flushed to 0.
func exp(f *file, w width, x, n, p, t int) {
	// x limited to the range of results; NaN passes, as the first operand.
	w.load(f, 88.7228394, t)
	f.op("VMINPS %s, %s, %s", w.r(x), w.r(t), w.r(n))
	w.load(f, -87.3365479, t)
	f.op("VMAXPS %s, %s, %s", w.r(n), w.r(t), w.r(n))
	// p keeps the clamped input, x the original for the flush.
	f.op("VMOVUPS %s, %s", w.r(n), w.r(p))
	w.load(f, math.Log2E, t)
	f.op("VMULPS %s, %s, %s", w.r(t), w.r(n), w.r(n))
	if w.n == 16 {
		f.op("VRNDSCALEPS $8, %s, %s", w.r(n), w.r(n))
	} else {
		f.op("VROUNDPS $8, %s, %s", w.r(n), w.r(n))
	}
	w.load(f, 0.693359375, t)
	f.op("VFNMADD231PS %s, %s, %s", w.r(t), w.r(n), w.r(p))
	w.load(f, -2.12194440e-4, t)
	f.op("VFNMADD231PS %s, %s, %s", w.r(t), w.r(n), w.r(p))
	// p is r now. The polynomial goes to scratch beyond.
	q := x + 8
	w.load(f, 1.9875691500e-4, q)
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		w.load(f, c, t)
		f.op("VFMADD213PS %s, %s, %s", w.r(t), w.r(p), w.r(q))
	}
	f.op("VMULPS %s, %s, %s", w.r(p), w.r(p), w.r(t))
	f.op("VFMADD213PS %s, %s, %s", w.r(p), w.r(t), w.r(q))
	w.load(f, 1, t)
	f.op("VADDPS %s, %s, %s", w.r(t), w.r(q), w.r(q))
	// 2ⁿ: n reaches 128, so the exponent goes in in two halves.
	f.op("VCVTPS2DQ %s, %s", w.r(n), w.r(n))
	f.op("VPSRAD $1, %s, %s", w.r(n), w.r(p))
	f.op("VPSUBD %s, %s, %s", w.r(p), w.r(n), w.r(n))
	for _, half := range []int{p, n} {
		f.op("VPSLLD $23, %s, %s", w.r(half), w.r(half))
		f.op("VPADDD %s, %s, %s", w.r(t), w.r(half), w.r(half))
		f.op("VMULPS %s, %s, %s", w.r(half), w.r(q), w.r(q))
	}
	// Flush what lay below the range; overflow what lay above.
	w.load(f, -87.3365479, t)
	if w.n == 16 {
		f.op("VCMPPS $1, %s, %s, K1", w.r(t), w.r(x)) // x < t
		f.op("VPXORQ %s, %s, %s", w.r(p), w.r(p), w.r(p))
		f.op("VMOVAPS %s, K1, %s", w.r(p), w.r(q))
		w.load(f, 88.7228394, t)
		f.op("VCMPPS $14, %s, %s, K1", w.r(t), w.r(x)) // x > t
		w.loadBits(f, 0x7f800000, p)
		f.op("VMOVAPS %s, K1, %s", w.r(p), w.r(q))
	} else {
		f.op("VCMPPS $1, %s, %s, %s", w.r(t), w.r(x), w.r(p))
		f.op("VANDNPS %s, %s, %s", w.r(q), w.r(p), w.r(q))
		w.load(f, 88.7228394, t)
		f.op("VCMPPS $14, %s, %s, %s", w.r(t), w.r(x), w.r(p))
		w.loadBits(f, 0x7f800000, t)
		f.op("VBLENDVPS %s, %s, %s, %s", w.r(p), w.r(t), w.r(q), w.r(q))
	}
	f.op("VMOVAPS %s, %s", w.r(q), w.r(x))
}

// tanh replaces register x by its hyperbolic tangent: Cephes' polynomial for
// |x| < 0.625, 1 - 2/(e^2|x| + 1) with x's sign beyond. Uses x … x+11.
func tanh(f *file, w width, x int) {
	keep, poly, z, t := x+9, x+10, x+11, x+3
	f.op("VMOVAPS %s, %s", w.r(x), w.r(keep))
	// The small branch.
	f.op("VMULPS %s, %s, %s", w.r(x), w.r(x), w.r(z))
	w.load(f, -5.70498872745e-3, poly)
	for _, c := range []float64{2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1} {
		w.load(f, c, t)
		f.op("VFMADD213PS %s, %s, %s", w.r(t), w.r(z), w.r(poly))
	}
	f.op("VMULPS %s, %s, %s", w.r(poly), w.r(z), w.r(poly))
	f.op("VFMADD213PS %s, %s, %s", w.r(keep), w.r(keep), w.r(poly))
	// The large branch, on |x|.
	w.loadBits(f, 0x7fffffff, t)
	w.and(f, t, keep, x)
	f.op("VADDPS %s, %s, %s", w.r(x), w.r(x), w.r(x))
	exp(f, w, x, x+1, x+2, x+3)
	w.load(f, 1, t)
	f.op("VADDPS %s, %s, %s", w.r(t), w.r(x), w.r(x))
	w.load(f, 2, x+1)
	f.op("VDIVPS %s, %s, %s", w.r(x), w.r(x+1), w.r(x))
	f.op("VSUBPS %s, %s, %s", w.r(x), w.r(t), w.r(x))
	w.loadBits(f, 0x80000000, t)
	w.and(f, t, keep, x+1)
	w.or(f, x+1, x, x)
	// Choose by |x|; the comparison is false for NaN, which poly carries.
	w.loadBits(f, 0x7fffffff, t)
	w.and(f, t, keep, x+1)
	w.load(f, 0.625, t)
	if w.n == 16 {
		f.op("VCMPPS $13, %s, %s, K1", w.r(t), w.r(x+1)) // |x| ≥ 0.625
		f.op("VMOVAPS %s, K1, %s", w.r(x), w.r(poly))
		f.op("VMOVAPS %s, %s", w.r(poly), w.r(x))
		return
	}
	f.op("VCMPPS $13, %s, %s, %s", w.r(t), w.r(x+1), w.r(x+1))
	f.op("VBLENDVPS %s, %s, %s, %s", w.r(x+1), w.r(x), w.r(poly), w.r(x))
}

func (w width) and(f *file, a, b, dst int) { w.logic(f, "VPANDD", "VANDPS", a, b, dst) }
func (w width) or(f *file, a, b, dst int)  { w.logic(f, "VPORD", "VORPS", a, b, dst) }
func (w width) logic(f *file, z, y string, a, b, dst int) {
	op := y
	if w.n == 16 {
		op = z
	}
	f.op("%s %s, %s, %s", op, w.r(a), w.r(b), w.r(dst))
}

const (
	geluA = 0.7978845608028654 // √(2/π)
	geluB = 0.044715
)

// geluInner leaves tanh(√(2/π)(v+0.044715v³)) of register 12 in register 0.
func geluInner(f *file, w width) {
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(12), w.r(0))
	w.load(f, geluB, 1)
	w.load(f, 1, 2)
	f.op("VFMADD213PS %s, %s, %s", w.r(2), w.r(1), w.r(0)) // 1+b·v²
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(0), w.r(0))
	w.load(f, geluA, 1)
	f.op("VMULPS %s, %s, %s", w.r(1), w.r(0), w.r(0))
	tanh(f, w, 0)
}

// geluGate: dst = gelu(gate)·up.
func geluGate(f *file, w width) {
	f.text("Requires: "+w.name, "geluGate"+w.name, 32)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ gate+8(FP), SI")
	f.op("MOVQ up+16(FP), DX")
	f.op("MOVQ blocks+24(FP), CX")
	f.label("loop")
	for i := range 16 / w.n {
		f.op("VMOVUPS %d(SI), %s", i*w.n*4, w.r(12))
		geluInner(f, w)
		w.load(f, 0.5, 1)
		f.op("VFMADD213PS %s, %s, %s", w.r(1), w.r(1), w.r(0)) // (1+t)/2
		f.op("VMULPS %s, %s, %s", w.r(12), w.r(0), w.r(0))
		f.op("VMULPS %d(DX), %s, %s", i*w.n*4, w.r(0), w.r(0))
		f.op("VMOVUPS %s, %d(DI)", w.r(0), i*w.n*4)
	}
	for _, reg := range []string{"SI", "DX", "DI"} {
		f.op("ADDQ $64, %s", reg)
	}
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// geluGateBackward: dgate = dy·up·gelu'(gate), dup = dy·gelu(gate), with
// gelu' = ½(1+t) + ½v(1-t²)·√(2/π)(1+3·0.044715v²).
func geluGateBackward(f *file, w width) {
	f.text("Requires: "+w.name, "geluGateBackward"+w.name, 48)
	f.op("MOVQ dgate+0(FP), DI")
	f.op("MOVQ dup+8(FP), R8")
	f.op("MOVQ dy+16(FP), R9")
	f.op("MOVQ gate+24(FP), SI")
	f.op("MOVQ up+32(FP), DX")
	f.op("MOVQ blocks+40(FP), CX")
	f.label("loop")
	for i := range 16 / w.n {
		off := i * w.n * 4
		f.op("VMOVUPS %d(SI), %s", off, w.r(12))
		geluInner(f, w)
		w.load(f, 0.5, 1)
		f.op("VMOVAPS %s, %s", w.r(0), w.r(2))
		f.op("VFMADD213PS %s, %s, %s", w.r(1), w.r(1), w.r(2))  // s = (1+t)/2
		f.op("VMULPS %s, %s, %s", w.r(12), w.r(2), w.r(3))      // gelu
		f.op("VMULPS %d(R9), %s, %s", off, w.r(3), w.r(3))      // dup
		w.load(f, 1, 4)                                         //
		f.op("VFNMADD213PS %s, %s, %s", w.r(4), w.r(0), w.r(0)) // 1-t²
		f.op("VMULPS %s, %s, %s", w.r(12), w.r(0), w.r(0))
		f.op("VMULPS %s, %s, %s", w.r(1), w.r(0), w.r(0)) // ½v(1-t²)
		f.op("VMULPS %s, %s, %s", w.r(12), w.r(12), w.r(5))
		w.load(f, 3*geluB*geluA, 6)
		w.load(f, geluA, 7)
		f.op("VFMADD213PS %s, %s, %s", w.r(7), w.r(6), w.r(5)) // √(2/π)(1+3b·v²)
		f.op("VFMADD231PS %s, %s, %s", w.r(5), w.r(0), w.r(2)) // gelu'
		f.op("VMULPS %d(R9), %s, %s", off, w.r(2), w.r(2))
		f.op("VMULPS %d(DX), %s, %s", off, w.r(2), w.r(2))
		f.op("VMOVUPS %s, %d(DI)", w.r(2), off)
		f.op("VMOVUPS %s, %d(R8)", w.r(3), off)
	}
	for _, reg := range []string{"SI", "DX", "DI", "R8", "R9"} {
		f.op("ADDQ $64, %s", reg)
	}
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}
