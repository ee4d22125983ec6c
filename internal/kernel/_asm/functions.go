package main

import (
	"fmt"
	"math"
)

// functions writes exp and tanh over blocks of 16 values.
func functions() *file {
	f := newFile("functions")
	for _, w := range []width{w512, w256} {
		unary(f, w, "exp", func(x int) { exp(f, w, x, x+1, x+2, x+3) })
		unary(f, w, "tanh", func(x int) { tanh(f, w, x) })
	}
	return f
}

// unary writes a function of one value. body replaces register x by its value.
func unary(f *file, w width, name string, body func(x int)) {
	f.text(routine{
		name: name + w.name, params: "dst, src *float32, blocks int",
		does: "sets dst[i] = " + name + "(src[i]) for blocks of 16 values", twin: name + "Generic", requires: w.requires,
	})
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

// load sets all lanes of register r to a float32 constant.
func (w width) load(f *file, value float64, r int) {
	w.loadBits(f, math.Float32bits(float32(value)), r)
}

// loadBits is load for the bits of a constant.
func (w width) loadBits(f *file, bits uint32, r int) {
	f.op("VBROADCASTSS %s, %s", f.constant32(bits), w.r(r))
}

// with writes an instruction whose first operand is a float32 constant in all
// lanes. AVX-512 broadcasts it from memory. AVX2 cannot, so
// that the constant is stored once per lane.
func (w width) with(f *file, op string, value float64, regs ...int) {
	w.withBits(f, op, math.Float32bits(float32(value)), regs...)
}

// withBits is with for the bits of a constant.
func (w width) withBits(f *file, op string, bits uint32, regs ...int) {
	operand := ""
	if w.n == 16 {
		op, operand = op+".BCST", f.constant32(bits)
	} else {
		name := fmt.Sprintf("v%08x", bits)
		var lanes [16]uint32
		for i := range lanes {
			lanes[i] = bits
		}
		f.vectors[name] = lanes
		operand = name + "<>(SB)"
	}
	for _, r := range regs {
		operand += ", " + w.r(r)
	}
	f.op("%s %s", op, operand)
}

// polynomial leaves the value of a polynomial at register s in register r. The
// highest coefficient comes first.
func (w width) polynomial(f *file, s, r int, coefficients ...float64) {
	w.load(f, coefficients[0], r)
	for _, c := range coefficients[1:] {
		w.with(f, "VFMADD213PS", c, s, r)
	}
}

const (
	expLowest  = -87.3365402 // the least x whose e^x is not below 2⁻¹²⁶
	expHighest = 88.7228317  // the largest x whose e^x is finite; that of the next float32 is not
	expBeyond  = 89          // its exponential is infinite
	roundMagic = 3 << 22     // added and subtracted, it leaves the nearest integer
)

// exp replaces register x by eˣ. Registers n, p and q are scratch. With
// x = n·ln2 + r and |r| ≤ ln2/2, a polynomial of degree 6 gives eʳ (the
// coefficients are those of Cephes' expf), and n is added to its exponent.
// Results below 2⁻¹²⁶ are flushed to 0.
func exp(f *file, w width, x, n, p, q int) {
	if w.n == 16 {
		exp512(f, x, n, p, q)
		return
	}
	// p is x clamped to the range with finite, normal results. NaN passes, since
	// it is the first operand.
	w.load(f, expHighest, p)
	f.op("VMINPS %s, %s, %s", w.r(x), w.r(p), w.r(p))
	w.load(f, expLowest, n)
	f.op("VMAXPS %s, %s, %s", w.r(p), w.r(n), w.r(p))
	w.load(f, math.Log2E, n)
	w.with(f, "VFMADD213PS", roundMagic, p, n)
	w.load(f, roundMagic, q)
	f.op("VSUBPS %s, %s, %s", w.r(q), w.r(n), w.r(q))
	f.op("VCVTPS2DQ %s, %s", w.r(q), w.r(n)) // for NaN, a value that the shift below clears
	expOfRest(f, w, p, q, q)
	f.op("VPSLLD $23, %s, %s", w.r(n), w.r(n))
	f.op("VPADDD %s, %s, %s", w.r(n), w.r(q), w.r(q))
	// Values below the range become 0, values above it infinity.
	w.load(f, expLowest, p)
	f.op("VCMPPS $1, %s, %s, %s", w.r(p), w.r(x), w.r(p))
	f.op("VANDNPS %s, %s, %s", w.r(q), w.r(p), w.r(q))
	w.load(f, expHighest, p)
	f.op("VCMPPS $14, %s, %s, %s", w.r(p), w.r(x), w.r(p))
	w.loadBits(f, 0x7f800000, n)
	f.op("VBLENDVPS %s, %s, %s, %s", w.r(p), w.r(n), w.r(q), w.r(x))
}

// exp512 is exp with 16 lanes: the same bits, since scaling by a power of two is exact.
// VSCALEFPS makes results above the range infinite, and K1 those below it zero.
func exp512(f *file, x, n, p, q int) {
	w := w512
	w.load(f, expLowest, n)
	f.op("VCMPPS $5, %s, %s, K1", w.r(n), w.r(x)) // x ≥ expLowest, or NaN
	w.load(f, math.Log2E, n)
	w.load(f, expBeyond, p)
	f.op("VMINPS %s, %s, %s", w.r(x), w.r(p), w.r(p)) // NaN passes, since it is the first operand
	w.with(f, "VFMADD213PS", roundMagic, p, n)
	w.with(f, "VSUBPS", roundMagic, n, n)
	expOfRest(f, w, p, n, q)
	f.op("VSCALEFPS.Z %s, %s, K1, %s", w.r(n), w.r(q), w.r(x))
}

// expOfRest leaves e^(x - n·ln2) in register q, for x in register p, which it overwrites, and
// n in register n. q may be n.
func expOfRest(f *file, w width, p, n, q int) {
	w.with(f, "VFNMADD231PS", 0.693359375, n, p)
	w.with(f, "VFNMADD231PS", -2.12194440e-4, n, p)
	w.polynomial(f, p, q, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
	f.op("VMULPS %s, %s, %s", w.r(p), w.r(q), w.r(q))
	f.op("VFMADD213PS %s, %s, %s", w.r(p), w.r(p), w.r(q)) // (q·r)·r + r
	w.with(f, "VADDPS", 1, q, q)
}

// tanh replaces register x by its hyperbolic tangent x·P(x²)/Q(x²), with x
// clamped to ±8. Registers x+1 to x+3 are scratch. P of degree 6 and Q of degree
// 3 are a minimax fit with relative error 1.8·10⁻⁹ on [0, 8]. Beyond 8, tanh is
// within three units in the last place of 1. The rest of the error is rounding.
// NaN passes.
func tanh(f *file, w width, x int) {
	s, p, q := x+1, x+2, x+3
	w.load(f, 8, p)
	f.op("VMINPS %s, %s, %s", w.r(x), w.r(p), w.r(x))
	w.load(f, -8, p)
	f.op("VMAXPS %s, %s, %s", w.r(x), w.r(p), w.r(x))
	f.op("VMULPS %s, %s, %s", w.r(x), w.r(x), w.r(s))
	w.polynomial(f, s, p, -1.1564464934710889e-13, 6.365591387336167e-11, -2.2314781134014083e-08, 1.1642472600215115e-05,
		0.0031493674032390118, 0.1312435269355774, 1)
	w.polynomial(f, s, q, 0.0002612978278193623, 0.02467501163482666, 0.4645768404006958, 1)
	f.op("VMULPS %s, %s, %s", w.r(p), w.r(x), w.r(x))
	f.op("VDIVPS %s, %s, %s", w.r(q), w.r(x), w.r(x))
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
