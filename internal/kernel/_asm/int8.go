package main

import "fmt"

// tileI8Params are the parameters of the integer tiles. ldc is the distance of
// c's rows in bytes. a is packed rows [quads][rows][4], b one panel
// [quads][32][4]; a quad is four neighbouring k. rowScales belong to a's rows,
// scales and sums to the panel's outputs. load is 1 if the product is added to c.
// Sums are int32 and exact; an element is (sum·scale of the output)·scale of the
// row.
const tileI8Params = "c *float32, ldc uintptr, a *float32, b *int8, rows, quads int, rowScales, scales *float32, sums *int32, load uintptr"

// int8 writes the products of quantised matrices and the quantisation.
func int8() *file {
	f := newFile("int8")
	f.tileI8("AVX512F and AVX512_VNNI", "tileI8AVX512VNNI", 12, 32, func(rows int) { i8VNNI(f, rows) })
	f.tileI8("AVX512F and AVX512BW", "tileI8AVX512", 12, 16, func(rows int) { i8Widened(f, w512, rows) })
	f.tileI8("AVX2", "tileI8AVX2", 6, 8, func(rows int) { i8Widened(f, w256, rows) })
	i8Row(f)
	for _, w := range []width{w512, w256} {
		absMax(f, w)
		carries(f, w)
		quantize(f, w)
	}
	f.vectors["everyOther"] = [16]uint32{0, 0, 2, 0, 4, 0, 6, 0, 1, 0, 3, 0, 5, 0, 7, 0}
	return f
}

func (w width) xor(f *file, i int) {
	op := "VPXOR"
	if w.n == 16 {
		op = "VPXORQ"
	}
	f.op("%s %s, %s, %s", op, w.r(i), w.r(i), w.r(i))
}

// tileI8 writes a tile of integers with a body for each number of rows up to
// most.
func (f *file) tileI8(requires, name string, most, columns int, body func(rows int)) {
	f.text(routine{
		name: name, params: tileI8Params,
		does: fmt.Sprintf("computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j]·scales[j]·rowScales[r] for 1 to %d rows and %d "+
			"columns; ldc is in bytes", most, columns),
		twin: "tileI8Generic", requires: requires,
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ b+24(FP), BX")
	f.op("MOVQ rows+32(FP), R8")
	f.op("MOVQ quads+40(FP), CX")
	f.op("MOVQ rowScales+48(FP), R9")
	f.op("MOVQ scales+56(FP), R10")
	f.op("MOVQ sums+64(FP), R11")
	f.op("MOVQ load+72(FP), DX")
	f.choose("R8", most, body)
}

// i8VNNI has rows×32 accumulators in Z0–Z23 and B in Z24–Z25. VPDPBUSD takes one
// unsigned operand, so that A holds bytes with 128 added. At the end it subtracts
// 128 times the sum of each output's weights (sums).
func i8VNNI(f *file, rows int) {
	for i := range 2 * rows {
		w512.xor(f, i)
	}
	f.label(fmt.Sprintf("loop%d", rows))
	f.op("VMOVDQU32 (BX), Z24")
	f.op("VMOVDQU32 64(BX), Z25")
	f.op("PREFETCHT0 1024(BX)")
	f.op("PREFETCHT0 1088(BX)")
	for r := range rows {
		t := 26 + r%6
		f.op("VPBROADCASTD %d(AX), Z%d", 4*r, t)
		f.op("VPDPBUSD Z24, Z%d, %s", t, zmm(r, 0))
		f.op("VPDPBUSD Z25, Z%d, %s", t, zmm(r, 1))
	}
	f.op("ADDQ $%d, AX", 4*rows)
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop%d", rows)
	f.op("VMOVDQU32 (R11), Z24")
	f.op("VMOVDQU32 64(R11), Z25")
	for c := range 2 {
		f.op("VPSLLD $7, Z%d, Z%d", 24+c, 24+c)
	}
	f.op("VMOVUPS (R10), Z26")
	f.op("VMOVUPS 64(R10), Z27")
	for r := range rows {
		f.op("VBROADCASTSS %d(R9), Z28", 4*r)
		for c := range 2 {
			f.op("VPSUBD Z%d, %s, %s", 24+c, zmm(r, c), zmm(r, c))
			i8Finish(f, w512, 2*r+c, 26+c, 28, 64*c, fmt.Sprintf("store%d_%d_%d", rows, r, c))
		}
		if r < rows-1 {
			f.op("ADDQ SI, DI")
		}
	}
	f.end()
}

// i8Finish turns the int32 sums of register acc into float32, scales them and
// writes them to c.
func i8Finish(f *file, w width, acc, scales, row, at int, label string) {
	f.op("VCVTDQ2PS %s, %s", w.r(acc), w.r(acc))
	f.op("VMULPS %s, %s, %s", w.r(scales), w.r(acc), w.r(acc))
	f.op("VMULPS %s, %s, %s", w.r(row), w.r(acc), w.r(acc))
	f.op("TESTQ DX, DX")
	f.op("JZ %s", label)
	f.op("VADDPS %d(DI), %s, %s", at, w.r(acc), w.r(acc))
	f.label(label)
	f.op("VMOVUPS %s, %d(DI)", w.r(acc), at)
}

// i8Widened multiplies 16-bit values: A holds them, and B is widened as it is
// read. A register holds 4 k of w.n/2 outputs, so that each output has two
// neighbouring partial sums, which are added at the end. A call computes w.n
// outputs.
func i8Widened(f *file, w width, rows int) {
	acc := func(r, c int) int { return 2*r + c }
	b, scratch := 12, 14 // 12 and 13; 14 and 15
	if w.n == 16 {
		b, scratch = 24, 26
	}
	for i := range 2 * rows {
		w.xor(f, i)
	}
	f.label(fmt.Sprintf("loop%d", rows))
	f.op("VPMOVSXBW (BX), %s", w.r(b))
	f.op("VPMOVSXBW %d(BX), %s", 2*w.n, w.r(b+1))
	if w.n == 8 {
		prefetch(f, rows)
	}
	for r := range rows {
		if w.n == 16 { // rows alternate between two sets of scratch registers
			a, t, u := 26+r%2*3, 27+r%2*3, 28+r%2*3
			f.op("VPBROADCASTQ %d(AX), %s", 8*r, w.r(a))
			f.op("VPMADDWD %s, %s, %s", w.r(b), w.r(a), w.r(t))
			f.op("VPMADDWD %s, %s, %s", w.r(b+1), w.r(a), w.r(u))
			f.op("VPADDD %s, %s, %s", w.r(t), w.r(acc(r, 0)), w.r(acc(r, 0)))
			f.op("VPADDD %s, %s, %s", w.r(u), w.r(acc(r, 1)), w.r(acc(r, 1)))
			continue
		}
		a, t := scratch, scratch+1
		f.op("VPBROADCASTQ %d(AX), %s", 8*r, w.r(a))
		f.op("VPMADDWD %s, %s, %s", w.r(b), w.r(a), w.r(t))
		f.op("VPADDD %s, %s, %s", w.r(t), w.r(acc(r, 0)), w.r(acc(r, 0)))
		f.op("VPMADDWD %s, %s, %s", w.r(b+1), w.r(a), w.r(a))
		f.op("VPADDD %s, %s, %s", w.r(a), w.r(acc(r, 1)), w.r(acc(r, 1)))
	}
	f.op("ADDQ $%d, AX", 8*rows)
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop%d", rows)
	f.op("VMOVUPS (R10), %s", w.r(b))
	order := scratch
	if w.n == 16 {
		f.op("VMOVDQU64 everyOther<>(SB), %s", w.r(order))
	}
	for r := range rows {
		x, y := w.r(acc(r, 0)), w.r(acc(r, 1))
		if w.n == 16 {
			t := w.r(27)
			f.op("VSHUFPS $0x88, %s, %s, %s", y, x, t)
			f.op("VSHUFPS $0xdd, %s, %s, %s", y, x, x)
			f.op("VPADDD %s, %s, %s", t, x, x)
			f.op("VPERMQ %s, %s, %s", x, w.r(order), x)
		} else {
			f.op("VPHADDD %s, %s, %s", y, x, x)
			f.op("VPERMQ $0xd8, %s, %s", x, x)
		}
		f.op("VBROADCASTSS %d(R9), %s", 4*r, w.r(b+1))
		i8Finish(f, w, acc(r, 0), b, b+1, 0, fmt.Sprintf("store%d_%d", rows, r))
		if r < rows-1 {
			f.op("ADDQ SI, DI")
		}
	}
	f.end()
}

// i8Row writes a tile of one row and all 32 outputs in Y0–Y7: it reads a panel
// once, from beginning to end.
func i8Row(f *file) {
	f.text(routine{
		name: "rowI8AVX2", params: "c, a *float32, b *int8, quads int, rowScale float32, scales *float32, load uintptr",
		does: "computes c[j] (=|+=) Σₖ a[k]·b[k][j]·scales[j]·rowScale for one row and 32 columns", twin: "tileI8Generic", requires: "AVX2",
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ a+8(FP), AX")
	f.op("MOVQ b+16(FP), BX")
	f.op("MOVQ quads+24(FP), CX")
	f.op("VBROADCASTSS rowScale+32(FP), Y15")
	f.op("MOVQ scales+40(FP), R10")
	f.op("MOVQ load+48(FP), DX")
	for i := range 8 {
		w256.xor(f, i)
	}
	f.label("loop")
	f.op("VPBROADCASTQ (AX), Y14")
	for i := range 8 {
		t := 8 + i%4
		f.op("VPMOVSXBW %d(BX), Y%d", 16*i, t)
		f.op("VPMADDWD Y%d, Y14, Y%d", t, t)
		f.op("VPADDD Y%d, Y%d, Y%d", t, i, i)
	}
	f.op("ADDQ $8, AX")
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	for c := range 4 {
		f.op("VPHADDD Y%d, Y%d, Y%d", 2*c+1, 2*c, c)
		f.op("VPERMQ $0xd8, Y%d, Y%d", c, c)
		f.op("VMOVUPS %d(R10), Y14", 32*c)
		i8Finish(f, w256, c, 14, 15, 32*c, fmt.Sprintf("store%d", c))
	}
	f.end()
}

// absMax writes the largest magnitude, as bits. The bits of a NaN are larger than
// those of any number.
func absMax(f *file, w width) {
	magnitude := f.constant("magnitude", 0x7fffffff)
	f.text(routine{
		name: "absMax" + w.name, params: "x *float32, blocks int", result: "uint32",
		does: "returns the largest bits of blocks of 16 values without their signs", twin: "absMaxBits", requires: w.requires,
	})
	f.op("MOVQ x+0(FP), SI")
	f.op("MOVQ blocks+8(FP), CX")
	and, maximum := "VPAND", "VPMAXSD"
	if w.n == 16 {
		and = "VPANDD"
	}
	f.op("VPBROADCASTD %s, %s", magnitude, w.r(2))
	w.xor(f, 0)
	w.xor(f, 3)
	f.label("loop")
	for i := range 16 / w.n {
		f.op("%s %d(SI), %s, %s", and, 4*w.n*i, w.r(2), w.r(1))
		f.op("%s %s, %s, %s", maximum, w.r(1), w.r(3*i), w.r(3*i))
	}
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("%s %s, %s, %s", maximum, w.r(3), w.r(0), w.r(0))
	if w.n == 16 {
		f.op("VEXTRACTI64X4 $1, Z0, Y1")
		f.op("VPMAXSD Y1, Y0, Y0")
	}
	f.op("VEXTRACTI128 $1, Y0, X1")
	f.op("VPMAXSD X1, X0, X0")
	f.op("VPSHUFD $0x4e, X0, X1")
	f.op("VPMAXSD X1, X0, X0")
	f.op("VPSHUFD $0xb1, X0, X1")
	f.op("VPMAXSD X1, X0, X0")
	f.op("VMOVD X0, AX")
	f.op("MOVL AX, ret+16(FP)")
	f.end()
}

// carries writes the union of the bits of x&exponent + one over all words.
func carries(f *file, w width) {
	f.text(routine{
		name: "carries" + w.name, params: "x *float32, blocks int, exponent, one uint32", result: "uint32",
		does: "returns the union of the bits of x[i]&exponent + one for blocks of 16 words", twin: "noCarry", requires: w.requires,
	})
	f.op("MOVQ x+0(FP), SI")
	f.op("MOVQ blocks+8(FP), CX")
	f.op("VBROADCASTSS exponent+16(FP), %s", w.r(2))
	f.op("VBROADCASTSS one+20(FP), %s", w.r(3))
	and, or := "VPAND", "VPOR"
	if w.n == 16 {
		and, or = "VPANDD", "VPORD"
	}
	w.xor(f, 0)
	w.xor(f, 4)
	f.label("loop")
	for i := range 16 / w.n {
		f.op("%s %d(SI), %s, %s", and, 4*w.n*i, w.r(2), w.r(1))
		f.op("VPADDD %s, %s, %s", w.r(3), w.r(1), w.r(1))
		f.op("%s %s, %s, %s", or, w.r(1), w.r(4*i), w.r(4*i))
	}
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("%s %s, %s, %s", or, w.r(4), w.r(0), w.r(0))
	if w.n == 16 {
		f.op("VEXTRACTI64X4 $1, Z0, Y1")
		f.op("VPOR Y1, Y0, Y0")
	}
	f.op("VEXTRACTI128 $1, Y0, X1")
	f.op("VPOR X1, X0, X0")
	f.op("VPSHUFD $0x4e, X0, X1")
	f.op("VPOR X1, X0, X0")
	f.op("VPSHUFD $0xb1, X0, X1")
	f.op("VPOR X1, X0, X0")
	f.op("VMOVD X0, AX")
	f.op("MOVL AX, ret+24(FP)")
	f.end()
}

// quantize writes the rounding of x·inv to 16-bit integers, ties to even.
func quantize(f *file, w width) {
	f.text(routine{
		name: "quantize" + w.name, params: "dst *int16, x *float32, blocks int, inv float32",
		does: "sets dst[i] = x[i]·inv rounded to an integer, ties to even, for blocks of 16 values",
		twin: "quantizeRow", requires: w.requires,
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ x+8(FP), SI")
	f.op("MOVQ blocks+16(FP), CX")
	f.op("VBROADCASTSS inv+24(FP), %s", w.r(2))
	f.label("loop")
	for i := range 16 / w.n {
		f.op("VMULPS %d(SI), %s, %s", 4*w.n*i, w.r(2), w.r(i))
		f.op("VCVTPS2DQ %s, %s", w.r(i), w.r(i))
	}
	if w.n == 16 {
		f.op("VPMOVSDW Z0, Y0")
	} else {
		f.op("VPACKSSDW Y1, Y0, Y0")
		f.op("VPERMQ $0xd8, Y0, Y0")
	}
	f.op("VMOVDQU Y0, (DI)")
	f.op("ADDQ $64, SI")
	f.op("ADDQ $32, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}
