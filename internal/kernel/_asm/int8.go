package main

import "fmt"

// tileI8Params are the parameters of the integer tiles. ldc is the distance of c's rows
// in bytes. a is packed rows: for each block of up to 16 quads the scales [rows], the
// corrections [rows] and the integers [quads][rows][4]; a quad is four neighbouring k. b
// is one panel: the bytes [quads][32][4] of its first block. The scales of a block stand
// before its bytes, and those of the columns in question at scales. load is 1 if the
// product is added to c. Sums over several blocks are kept in sums [rows, columns], since
// rows of c often lie in the same few sets of the cache. With VNNI and several rows each quad
// prefetches the lines ahead bytes after b, and step bytes further in the next one (nextBlock in gemm.go).
const tileI8Params = "c *float32, ldc uintptr, a *float32, scales *uint16, b *byte, rows, quads int, load uintptr, " +
	"sums *float32, ahead, step uintptr"

// blockQuads is kernel.blockQuads, and scaleBytes kernel.scaleBytes.
const blockQuads, scaleBytes = 16, 64

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
	quantizeBytes(f)
	for _, w := range []width{w512, w256} {
		i8Pairs(f, w)
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
		does: fmt.Sprintf("computes c[r][j] (=|+=) Σ over blocks of (Σₖ a[k][r]·b[k][j] + correction[r])·scales[j]·scale[r] "+
			"for 1 to %d rows and %d columns; ldc is in bytes", most, columns),
		twin: "tileI8Generic", requires: requires,
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ scales+24(FP), R10")
	f.op("MOVQ b+32(FP), BX")
	f.op("MOVQ rows+40(FP), R8")
	f.op("MOVQ quads+48(FP), CX")
	f.op("MOVQ sums+64(FP), DX")
	f.op("SUBQ BX, R10")
	if name == "tileI8AVX512VNNI" {
		f.op("MOVQ ahead+72(FP), R14")
		f.op("MOVQ step+80(FP), R15")
		f.op("ADDQ BX, R14")
	}
	w := w512
	if columns == 8 {
		w = w256
	}
	f.choose("R8", most, func(rows int) {
		prefetchNextTile(f, rows, most, columns)
		i8Begin(f, w, rows, columns, "load+56(FP)")
		body(rows)
	})
}

// i8Begin sets the sums of a tile to c if load is not 0, or to zero.
func i8Begin(f *file, w width, rows, columns int, load string) {
	f.op("MOVQ DI, R13")
	f.op("CMPQ %s, $0", load)
	f.op("JEQ zero%d", rows)
	for r := range rows {
		for c := 0; c < columns; c += w.n {
			f.op("VMOVUPS %d(R13), %s", 4*c, w.r(0))
			f.op("VMOVUPS %s, %d(DX)", w.r(0), 4*(r*columns+c))
		}
		if r < rows-1 {
			f.op("ADDQ SI, R13")
		}
	}
	f.op("JMP block%d", rows)
	f.label(fmt.Sprintf("zero%d", rows))
	w.xor(f, 0)
	for c := 0; c < rows*columns; c += w.n {
		f.op("VMOVUPS %s, %d(DX)", w.r(0), 4*c)
	}
}

// i8Blocks writes the loop over the blocks of a tile. begin prepares the accumulators,
// quad adds one quad, and finish adds the block's product to the sums. In them R9 is the
// tile's scales and corrections and (R11)(R10*1) the scales of the columns. In finish,
// after the latter are read, destination gives R13 and R11: where the results go.
func i8Blocks(f *file, rows, quadBytes int, begin, quad, finish func()) {
	f.label(fmt.Sprintf("block%d", rows))
	f.op("MOVQ AX, R9")
	f.op("ADDQ $%d, AX", 8*rows)
	f.op("MOVQ BX, R11")
	f.op("MOVQ $%d, R12", blockQuads)
	f.op("CMPQ CX, R12")
	f.op("CMOVQLT CX, R12")
	f.op("SUBQ R12, CX")
	begin()
	f.label(fmt.Sprintf("loop%d", rows))
	quad()
	f.op("ADDQ $%d, AX", quadBytes*rows)
	f.op("ADDQ $128, BX")
	f.op("DECQ R12")
	f.op("JNZ loop%d", rows)
	finish()
	f.op("ADDQ $%d, BX", scaleBytes)
	f.op("TESTQ CX, CX")
	f.op("JNZ block%d", rows)
}

// i8Destination sets R13 to the first row of the sums, or of c after the last block, and
// R11 to the distance of rows in bytes.
func i8Destination(f *file, columns int) {
	f.op("MOVQ DX, R13")
	f.op("MOVQ $%d, R11", 4*columns)
	f.op("TESTQ CX, CX")
	f.op("CMOVQEQ DI, R13")
	f.op("CMOVQEQ SI, R11")
}

// i8Scales reads scales of outputs, bfloat16 at a byte offset, as float32.
func i8Scales(f *file, w width, reg, at int) {
	f.op("VPMOVZXWD %d(R11)(R10*1), %s", at, w.r(reg))
	f.op("VPSLLD $16, %s, %s", w.r(reg), w.r(reg))
}

// i8VNNI has rows×32 accumulators in Z0–Z23 and B in Z24–Z25. VPDPBUSD takes one
// unsigned operand: B holds bytes with 128 added. The accumulators of a row start with
// its correction, which takes that off.
//
// A block of more than nine rows is multiplied in two halves: what finishes one half waits
// for its sums while the other half multiplies. Finished together, the rows would fill the
// queues of the ports that multiply.
func i8VNNI(f *file, rows int) {
	halves := [][2]int{{0, rows}}
	if rows > 9 {
		halves = [][2]int{{0, (rows + 1) / 2}, {(rows + 1) / 2, rows}}
	}
	f.label(fmt.Sprintf("block%d", rows))
	f.op("MOVQ AX, R9")
	f.op("MOVQ $%d, R8", blockQuads)
	f.op("CMPQ CX, R8")
	f.op("CMOVQLT CX, R8")
	f.op("SUBQ R8, CX")
	for h, half := range halves {
		if h > 0 {
			f.op("SHLQ $7, R8")
			f.op("SUBQ R8, BX")
			f.op("SHRQ $7, R8")
		}
		f.op("LEAQ %d(R9), AX", 8*rows)
		f.op("MOVQ BX, R11")
		f.op("MOVQ R8, R12")
		i8Half(f, rows, half[0], half[1])
	}
	f.op("ADDQ $%d, BX", scaleBytes)
	f.op("TESTQ CX, CX")
	f.op("JNZ block%d", rows)
	f.end()
}

// i8Half multiplies a block for the rows lo ≤ r < hi of a tile.
func i8Half(f *file, rows, lo, hi int) {
	for r := lo; r < hi; r++ {
		f.op("VPBROADCASTD %d(R9), %s", 4*(rows+r), zmm(r, 0))
		f.op("VMOVDQA64 %s, %s", zmm(r, 0), zmm(r, 1))
	}
	f.label(fmt.Sprintf("loop%d_%d", rows, lo))
	f.op("VMOVDQU32 (BX), Z24")
	f.op("VMOVDQU32 64(BX), Z25")
	switch {
	case rows == 1: // waits for nothing but its weights: nearer is better
		f.op("PREFETCHT0 1024(BX)")
		f.op("PREFETCHT0 1088(BX)")
	case lo == 0:
		f.op("PREFETCHT1 (R14)")
		f.op("PREFETCHT1 64(R14)")
		f.op("ADDQ R15, R14")
	}
	for r := lo; r < hi; r++ {
		t := 26 + r%6
		f.op("VPBROADCASTD %d(AX), Z%d", 4*r, t)
		f.op("VPDPBUSD Z%d, Z24, %s", t, zmm(r, 0))
		f.op("VPDPBUSD Z%d, Z25, %s", t, zmm(r, 1))
	}
	f.op("ADDQ $%d, AX", 4*rows)
	f.op("ADDQ $128, BX")
	f.op("DECQ R12")
	f.op("JNZ loop%d_%d", rows, lo)
	for c := range 2 {
		i8Scales(f, w512, 26+c, 32*c)
	}
	i8Destination(f, 32)
	for range lo {
		f.op("ADDQ R11, R13")
	}
	for r := lo; r < hi; r++ {
		f.op("VBROADCASTSS %d(R9), Z28", 4*r)
		for c := range 2 {
			i8Finish(f, w512, 2*r+c, 26+c, 28, 128*r+64*c, 64*c)
		}
		if r < hi-1 {
			f.op("ADDQ R11, R13")
		}
	}
}

// i8Finish turns the int32 sums of register acc into float32, scales them, adds the sums
// at a byte offset and writes the result at another.
func i8Finish(f *file, w width, acc, scales, row, from, to int) {
	f.op("VCVTDQ2PS %s, %s", w.r(acc), w.r(acc))
	f.op("VMULPS %s, %s, %s", w.r(scales), w.r(acc), w.r(acc))
	f.op("VMULPS %s, %s, %s", w.r(row), w.r(acc), w.r(acc))
	f.op("VADDPS %d(DX), %s, %s", from, w.r(acc), w.r(acc))
	f.op("VMOVUPS %s, %d(R13)", w.r(acc), to)
}

// i8Widened multiplies 16-bit values: A holds them, and B is widened as it is
// read. A register holds 4 k of w.n/2 outputs, so that each output has two
// neighbouring partial sums, which are added at the end of a block. A call computes
// w.n outputs.
func i8Widened(f *file, w width, rows int) {
	b, scratch := 12, 14 // 12 and 13; 14 and 15
	if w.n == 16 {
		b, scratch = 24, 26
	}
	begin := func() {
		for i := range 2 * rows {
			w.xor(f, i)
		}
	}
	quad := func() {
		f.op("VPMOVZXBW (BX), %s", w.r(b))
		f.op("VPMOVZXBW %d(BX), %s", 2*w.n, w.r(b+1))
		if w.n == 8 {
			prefetch(f, rows)
		}
		for r := range rows {
			i8Multiply(f, w, r, b, scratch)
		}
	}
	finish := func() { i8Collect(f, w, rows, b, scratch) }
	i8Blocks(f, rows, 8, begin, quad, finish)
	f.end()
}

// i8Multiply adds a quad of row r to its accumulators 2r and 2r+1.
func i8Multiply(f *file, w width, r, b, scratch int) {
	x, y := w.r(2*r), w.r(2*r+1)
	if w.n == 16 { // rows alternate between two sets of scratch registers
		a, t, u := 26+r%2*3, 27+r%2*3, 28+r%2*3
		f.op("VPBROADCASTQ %d(AX), %s", 8*r, w.r(a))
		f.op("VPMADDWD %s, %s, %s", w.r(b), w.r(a), w.r(t))
		f.op("VPMADDWD %s, %s, %s", w.r(b+1), w.r(a), w.r(u))
		f.op("VPADDD %s, %s, %s", w.r(t), x, x)
		f.op("VPADDD %s, %s, %s", w.r(u), y, y)
		return
	}
	a, t := scratch, scratch+1
	f.op("VPBROADCASTQ %d(AX), %s", 8*r, w.r(a))
	f.op("VPMADDWD %s, %s, %s", w.r(b), w.r(a), w.r(t))
	f.op("VPADDD %s, %s, %s", w.r(t), x, x)
	f.op("VPMADDWD %s, %s, %s", w.r(b+1), w.r(a), w.r(a))
	f.op("VPADDD %s, %s, %s", w.r(a), y, y)
}

// i8Collect adds the partial sums of each output, and the block's product to c.
func i8Collect(f *file, w width, rows, b, order int) {
	i8Scales(f, w, b, 0)
	i8Destination(f, w.n)
	if w.n == 16 {
		f.op("VMOVDQU64 everyOther<>(SB), %s", w.r(order))
	}
	for r := range rows {
		x, y := w.r(2*r), w.r(2*r+1)
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
		f.op("VPBROADCASTD %d(R9), %s", 4*(rows+r), w.r(b+1))
		f.op("VPADDD %s, %s, %s", w.r(b+1), x, x)
		f.op("VBROADCASTSS %d(R9), %s", 4*r, w.r(b+1))
		i8Finish(f, w, 2*r, b, b+1, 4*w.n*r, 0)
		if r < rows-1 {
			f.op("ADDQ R11, R13")
		}
	}
}

// i8Row writes a tile of one row and all 32 outputs in Y0–Y7: it reads a panel
// once, from beginning to end.
func i8Row(f *file) {
	f.text(routine{
		name: "rowI8AVX2", params: "c, a *float32, scales *uint16, b *byte, quads int, load uintptr, sums *float32",
		does: "computes c[j] (=|+=) Σ over blocks of (Σₖ a[k]·b[k][j] + correction)·scales[j]·scale for one row and 32 columns",
		twin: "tileI8Generic", requires: "AVX2",
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ a+8(FP), AX")
	f.op("MOVQ scales+16(FP), R10")
	f.op("MOVQ b+24(FP), BX")
	f.op("MOVQ quads+32(FP), CX")
	f.op("MOVQ sums+48(FP), DX")
	f.op("SUBQ BX, R10")
	i8Begin(f, w256, 1, 32, "load+40(FP)")
	begin := func() {
		for i := range 8 {
			w256.xor(f, i)
		}
	}
	quad := func() {
		f.op("VPBROADCASTQ (AX), Y14")
		for i := range 8 {
			t := 8 + i%4
			f.op("VPMOVZXBW %d(BX), Y%d", 16*i, t)
			f.op("VPMADDWD Y%d, Y14, Y%d", t, t)
			f.op("VPADDD Y%d, Y%d, Y%d", t, i, i)
		}
	}
	finish := func() {
		f.op("VBROADCASTSS (R9), Y15")
		f.op("VPBROADCASTD 4(R9), Y13")
		for c := range 4 {
			i8Scales(f, w256, 8+c, 16*c)
		}
		i8Destination(f, 32)
		for c := range 4 {
			f.op("VPHADDD Y%d, Y%d, Y%d", 2*c+1, 2*c, c)
			f.op("VPERMQ $0xd8, Y%d, Y%d", c, c)
			f.op("VPADDD Y13, Y%d, Y%d", c, c)
			i8Finish(f, w256, c, 8+c, 15, 32*c, 32*c)
		}
	}
	i8Blocks(f, 1, 8, begin, quad, finish)
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

// quantizeBytes writes the quantisation of blocks of 64 values to bytes, with the scale
// and the correction of each.
func quantizeBytes(f *file) {
	magnitude := f.constant("magnitude", 0x7fffffff)
	most := f.constant("most", 0x42fe0000) // 127
	f.text(routine{
		name: "quantizeBytesAVX512", params: "dst *uint32, x *float32, blocks int, scales *uint32, correction, step uintptr",
		does: "rounds blocks of 64 values to bytes in ±127 times a scale; it writes the scale of a block to scales and -128 times " +
			"the sum of its bytes correction bytes behind, and goes on step bytes further",
		twin: "packQuads", requires: "AVX-512",
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ x+8(FP), SI")
	f.op("MOVQ blocks+16(FP), CX")
	f.op("MOVQ scales+24(FP), R8")
	f.op("MOVQ correction+32(FP), R9")
	f.op("MOVQ step+40(FP), R10")
	f.op("VPBROADCASTD %s, Z16", magnitude)
	f.op("VMOVSS %s, X15", most)
	f.label("loop")
	for i := range 4 {
		f.op("VMOVUPS %d(SI), Z%d", 64*i, i)
		f.op("VPANDD Z%d, Z16, Z%d", i, 4+i)
	}
	reduce(f, "VPMAXSD")
	f.op("VDIVSS X15, X4, X8")
	f.op("VDIVSS X4, X15, X9")
	f.op("VMOVD X9, AX")
	f.op("DECL AX")
	f.op("CMPL AX, $0x7f7fffff") // the inverse is zero, infinite or NaN
	f.op("JAE nothing")
	f.op("VBROADCASTSS X9, Z9")
	for i := range 4 {
		f.op("VMULPS Z9, Z%d, Z%d", i, i)
		f.op("VCVTPS2DQ Z%d, Z%d", i, 4+i)
		f.op("VPMOVSDB Z%d, %d(DI)", 4+i, 16*i)
	}
	reduce(f, "VPADDD")
	f.op("VMOVD X4, AX")
	f.op("SHLL $7, AX")
	f.op("NEGL AX")
	f.label("next")
	f.op("VMOVSS X8, (R8)")
	f.op("MOVL AX, (R8)(R9*1)")
	f.op("ADDQ R10, R8")
	f.op("ADDQ $256, SI")
	f.op("ADDQ $64, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
	f.label("nothing")
	f.op("VPXORQ Z0, Z0, Z0")
	f.op("VMOVDQU32 Z0, (DI)")
	f.op("VMULSS X0, X4, X8") // zero, or NaN
	f.op("XORL AX, AX")
	f.op("JMP next")
	f.WriteString("\n")
}

// reduce folds the lanes of Z4–Z7 into the lowest of X4.
func reduce(f *file, op string) {
	f.op("%s Z5, Z4, Z4", op)
	f.op("%s Z7, Z6, Z6", op)
	f.op("%s Z6, Z4, Z4", op)
	f.op("VEXTRACTI64X4 $1, Z4, Y5")
	f.op("%s Y5, Y4, Y4", op)
	f.op("VEXTRACTI128 $1, Y4, X5")
	f.op("%s X5, X4, X4", op)
	f.op("VPSHUFD $0x4e, X4, X5")
	f.op("%s X5, X4, X4", op)
	f.op("VPSHUFD $0xb1, X4, X5")
	f.op("%s X5, X4, X4", op)
}

// i8Pairs writes eight quads of a panel as bfloat16, in the pairs of a bfloat16 panel.
func i8Pairs(f *file, w width) {
	low, half := f.constant("lowByte", 0xff), f.constant("half", 0x7fff)
	f.text(routine{
		name: "pairsOfI8" + w.name, params: "dst *uint32, b *byte, scales *uint16",
		does: "sets 16 lines of 32 pairs (k even, k odd) to 8 lines of quads: bytes less 128, times the scales, rounded to bfloat16",
		twin: "TransposePanelI8", requires: w.requires,
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ b+8(FP), SI")
	f.op("MOVQ scales+16(FP), DX")
	f.op("VPBROADCASTD %s, %s", low, w.r(8))
	f.op("VPBROADCASTD %s, %s", half, w.r(9))
	f.op("VPSRLD $7, %s, %s", w.r(8), w.r(10))  // one
	f.op("VPSLLD $7, %s, %s", w.r(10), w.r(11)) // 128
	and, or := "VPAND", "VPOR"
	if w.n == 16 {
		and, or = "VPANDD", "VPORD"
	}
	f.op("MOVQ $%d, R9", 32/w.n)
	f.label("columns")
	f.op("VPMOVZXWD (DX), %s", w.r(7))
	f.op("VPSLLD $16, %s, %s", w.r(7), w.r(7))
	f.op("MOVQ $8, CX")
	f.label("loop")
	f.op("VMOVDQU%s (SI), %s", map[int]string{16: "32", 8: ""}[w.n], w.r(6))
	for k := range 4 {
		x, t := w.r(k), w.r(4)
		switch k {
		case 0:
			f.op("%s %s, %s, %s", and, w.r(6), w.r(8), x)
		case 3:
			f.op("VPSRLD $24, %s, %s", w.r(6), x)
		default:
			f.op("VPSRLD $%d, %s, %s", 8*k, w.r(6), x)
			f.op("%s %s, %s, %s", and, x, w.r(8), x)
		}
		f.op("VPSUBD %s, %s, %s", w.r(11), x, x)
		f.op("VCVTDQ2PS %s, %s", x, x)
		f.op("VMULPS %s, %s, %s", w.r(7), x, x)
		f.op("VPSRLD $16, %s, %s", x, t)
		f.op("%s %s, %s, %s", and, t, w.r(10), t) // ties to even
		f.op("VPADDD %s, %s, %s", w.r(9), x, x)
		f.op("VPADDD %s, %s, %s", t, x, x)
		f.op("VPSRLD $16, %s, %s", x, x)
		if k%2 == 1 {
			f.op("VPSLLD $16, %s, %s", x, x)
			f.op("%s %s, %s, %s", or, x, w.r(k-1), x)
			f.op("VMOVDQU%s %s, %d(DI)", map[int]string{16: "32", 8: ""}[w.n], x, k/2*128)
		}
	}
	f.op("ADDQ $128, SI")
	f.op("ADDQ $256, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("ADDQ $%d, DX", 2*w.n)
	f.op("SUBQ $%d, SI", 8*128-4*w.n)
	f.op("SUBQ $%d, DI", 8*256-4*w.n)
	f.op("DECQ R9")
	f.op("JNZ columns")
	f.end()
}
