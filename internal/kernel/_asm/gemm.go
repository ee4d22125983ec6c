package main

import "fmt"

// The tile kernels share one plan. Arguments: c, the bytes between its rows,
// a packed [k][rows], b one panel block [k][32] (or [k/2][32][2] bfloat16), the
// number of rows, k, and whether the product is added to c. An element has one
// accumulator, k ascending: the sum does not depend on rows, blocking or
// threads. The float32 tiles add up blocks of sumBlock terms, see sumBlocks.
const tileArgs = 56

// sumBlock is the constant of package kernel.
const sumBlock = 128

// gemm writes the matrix-product tiles.
func gemm() *file {
	f := newFile("gemm_amd64.s")
	f32AVX512(f)
	bf16Dot(f)
	bf16AVX512(f)
	f32AVX2(f)
	bf16AVX2(f)
	f32Row(f)
	bf16Row(f)
	return f
}

// ahead fetches what a tile of a few rows reads soon: such tiles are of small
// batches, whose weights come from memory. Whole tiles are of large ones, that
// would lose other lines to it.
func ahead(f *file, rows int) {
	if rows > 1 && rows < 6 {
		f.op("PREFETCHT0 2048(BX)")
	}
}

// tile opens a function of tiles: a body for each number of rows up to most,
// among which the argument chooses. prologue runs before that choice.
func (f *file) tile(doc, name string, most int, prologue func(), body func(rows int)) {
	f.text(doc, name, tileArgs)
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ b+24(FP), BX")
	f.op("MOVQ rows+32(FP), R9")
	f.op("MOVQ k+40(FP), CX")
	f.op("MOVQ load+48(FP), DX")
	if prologue != nil {
		prologue()
	}
	f.choose("R9", most, body)
}

// choose jumps to the body for the number in a register, the largest first.
func (f *file) choose(register string, most int, body func(n int)) {
	for n := most; n > 1; n-- {
		f.op("CMPQ %s, $%d", register, n)
		f.op("JEQ rows%d", n)
	}
	for n := 1; n <= most; n++ {
		f.label(fmt.Sprintf("rows%d", n))
		body(n)
	}
}

func tileLoad(f *file, reg func(row, col int) string, zero string, rows, cols, width int) {
	for r := range rows {
		for c := range cols {
			f.op("%s %s, %s, %s", zero, reg(r, c), reg(r, c), reg(r, c))
		}
	}
	f.op("TESTQ DX, DX")
	f.op("JZ loop%d", rows)
	f.op("MOVQ DI, R8")
	for r := range rows {
		for c := range cols {
			f.op("VMOVUPS %d(R8), %s", c*width, reg(r, c))
		}
		if r < rows-1 {
			f.op("ADDQ SI, R8")
		}
	}
	f.label(fmt.Sprintf("loop%d", rows))
}

func tileStore(f *file, reg func(row, col int) string, rows, cols, width int) {
	f.op("DECQ CX")
	f.op("JNZ loop%d", rows)
	for r := range rows {
		for c := range cols {
			f.op("VMOVUPS %s, %d(DI)", reg(r, c), c*width)
		}
		if r < rows-1 {
			f.op("ADDQ SI, DI")
		}
	}
	f.end()
}

// sumBlocks begins a sum over k in blocks of sumBlock terms: each is summed from
// zero and added to c, so that rounding grows with the root of the block and of
// their number, not with k. R10 counts the terms of a block, CX those left.
func sumBlocks(f *file, reg func(row, col int) string, zero string, rows, cols int) {
	f.label(fmt.Sprintf("block%d", rows))
	for r := range rows {
		for c := range cols {
			f.op("%s %s, %s, %s", zero, reg(r, c), reg(r, c), reg(r, c))
		}
	}
	blockLength(f)
	f.label(fmt.Sprintf("loop%d", rows))
}

// blockLength moves the length of the next block to R10, out of CX.
func blockLength(f *file) {
	f.op("MOVQ $%d, R10", sumBlock)
	f.op("CMPQ CX, R10")
	f.op("CMOVQLT CX, R10")
	f.op("SUBQ R10, CX")
}

// sumBlocksEnd adds the block to c, or stores it if it is the first of a product
// that is not added to c.
func sumBlocksEnd(f *file, reg func(row, col int) string, rows, cols, width int) {
	f.op("DECQ R10")
	f.op("JNZ loop%d", rows)
	f.op("TESTQ DX, DX")
	f.op("JZ store%d", rows)
	eachElement(f, rows, cols, func(r, c int) { f.op("VADDPS %d(R8), %s, %s", c*width, reg(r, c), reg(r, c)) })
	f.label(fmt.Sprintf("store%d", rows))
	eachElement(f, rows, cols, func(r, c int) { f.op("VMOVUPS %s, %d(R8)", reg(r, c), c*width) })
	f.op("MOVQ $1, DX")
	f.op("TESTQ CX, CX")
	f.op("JNZ block%d", rows)
	f.end()
}

// eachElement walks the tile with R8 at the row in turn.
func eachElement(f *file, rows, cols int, op func(r, c int)) {
	f.op("MOVQ DI, R8")
	for r := range rows {
		for c := range cols {
			op(r, c)
		}
		if r < rows-1 {
			f.op("ADDQ SI, R8")
		}
	}
}

func zmm(r, c int) string { return fmt.Sprintf("Z%d", 2*r+c) }
func ymm(r, c int) string { return fmt.Sprintf("Y%d", 2*r+c) }

// f32AVX512: rows×32 accumulators in Z0–Z23, B in Z24–Z25.
func f32AVX512(f *file) {
	f.tile("Requires: AVX512F", "tileF32AVX512", 12, nil, func(rows int) {
		sumBlocks(f, zmm, "VPXORQ", rows, 2)
		f.op("VMOVUPS (BX), Z24")
		f.op("VMOVUPS 64(BX), Z25")
		f.op("PREFETCHT0 1024(BX)")
		f.op("PREFETCHT0 1088(BX)")
		for r := range rows {
			t := 26 + r%6
			f.op("VBROADCASTSS %d(AX), Z%d", 4*r, t)
			f.op("VFMADD231PS Z24, Z%d, %s", t, zmm(r, 0))
			f.op("VFMADD231PS Z25, Z%d, %s", t, zmm(r, 1))
		}
		f.op("ADDQ $%d, AX", 4*rows)
		f.op("ADDQ $128, BX")
		sumBlocksEnd(f, zmm, rows, 2, 64)
	})
}

// bf16Dot: the same with pairs of bfloat16 and VDPBF16PS; k counts pairs.
func bf16Dot(f *file) {
	f.tile("Requires: AVX512F, AVX512_BF16", "tileBF16Dot", 12, nil, func(rows int) {
		tileLoad(f, zmm, "VPXORQ", rows, 2, 64)
		f.op("VMOVUPS (BX), Z24")
		f.op("VMOVUPS 64(BX), Z25")
		f.op("PREFETCHT0 1024(BX)")
		f.op("PREFETCHT0 1088(BX)")
		for r := range rows {
			t := 26 + r%6
			f.op("VBROADCASTSS %d(AX), Z%d", 4*r, t)
			f.op("%s", vdpbf16ps(24, t, 2*r))
			f.op("%s", vdpbf16ps(25, t, 2*r+1))
		}
		f.op("ADDQ $%d, AX", 4*rows)
		f.op("ADDQ $128, BX")
		tileStore(f, zmm, rows, 2, 64)
	})
}

// bf16AVX512 widens pairs to float32: the even k is the low half shifted up,
// the odd k the high half masked. A is float32 [k][rows], k counts pairs.
func bf16AVX512(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	f.tile("Requires: AVX512F", "tileBF16AVX512", 12, func() { f.op("VBROADCASTSS %s, Z28", mask) }, func(rows int) {
		tileLoad(f, zmm, "VPXORQ", rows, 2, 64)
		f.op("VPSLLD $16, (BX), Z24")
		f.op("VPSLLD $16, 64(BX), Z25")
		f.op("VPANDD (BX), Z28, Z26")
		f.op("VPANDD 64(BX), Z28, Z27")
		for odd := range 2 {
			for r := range rows {
				t := 29 + r%3
				f.op("VBROADCASTSS %d(AX), Z%d", 4*(odd*rows+r), t)
				f.op("VFMADD231PS Z%d, Z%d, %s", 24+2*odd, t, zmm(r, 0))
				f.op("VFMADD231PS Z%d, Z%d, %s", 25+2*odd, t, zmm(r, 1))
			}
		}
		f.op("ADDQ $%d, AX", 8*rows)
		f.op("ADDQ $128, BX")
		tileStore(f, zmm, rows, 2, 64)
	})
}

// f32AVX2: rows×16 accumulators in Y0–Y11; b points at a half panel.
func f32AVX2(f *file) {
	f.tile("Requires: AVX2, FMA", "tileF32AVX2", 6, nil, func(rows int) {
		sumBlocks(f, ymm, "VXORPS", rows, 2)
		f.op("VMOVUPS (BX), Y12")
		f.op("VMOVUPS 32(BX), Y13")
		ahead(f, rows)
		for r := range rows {
			t := 14 + r%2
			f.op("VBROADCASTSS %d(AX), Y%d", 4*r, t)
			f.op("VFMADD231PS Y12, Y%d, %s", t, ymm(r, 0))
			f.op("VFMADD231PS Y13, Y%d, %s", t, ymm(r, 1))
		}
		f.op("ADDQ $%d, AX", 4*rows)
		f.op("ADDQ $128, BX")
		sumBlocksEnd(f, ymm, rows, 2, 32)
	})
}

// bf16AVX2 widens as bf16AVX512 does.
func bf16AVX2(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	f.tile("Requires: AVX2, FMA", "tileBF16AVX2", 6, func() { f.op("VBROADCASTSS %s, Y15", mask) }, func(rows int) {
		tileLoad(f, ymm, "VXORPS", rows, 2, 32)
		ahead(f, rows)
		for odd := range 2 {
			if odd == 0 {
				f.op("VMOVUPS (BX), Y12")
				f.op("VMOVUPS 32(BX), Y13")
				f.op("VPSLLD $16, Y12, Y12")
				f.op("VPSLLD $16, Y13, Y13")
			} else {
				f.op("VPAND (BX), Y15, Y12")
				f.op("VPAND 32(BX), Y15, Y13")
			}
			for r := range rows {
				f.op("VBROADCASTSS %d(AX), Y14", 4*(odd*rows+r))
				f.op("VFMADD231PS Y12, Y14, %s", ymm(r, 0))
				f.op("VFMADD231PS Y13, Y14, %s", ymm(r, 1))
			}
		}
		f.op("ADDQ $%d, AX", 8*rows)
		f.op("ADDQ $128, BX")
		tileStore(f, ymm, rows, 2, 32)
	})
}

// f32Row is a tile of one row and all 32 columns in Y0–Y3, so that a panel is
// read once, in its order. Blocks of sumBlock terms are added up in Y8–Y11.
func f32Row(f *file) {
	f.rowBegin("Requires: AVX2, FMA", "rowF32AVX2", nil, 8)
	f.label("block")
	for c := range 4 {
		f.op("VXORPS Y%d, Y%d, Y%d", c, c, c)
	}
	blockLength(f)
	f.label("loop")
	f.op("VBROADCASTSS (AX), Y4")
	for c := range 4 {
		f.op("VFMADD231PS %d(BX), Y4, Y%d", 32*c, c)
	}
	f.op("ADDQ $4, AX")
	f.op("ADDQ $128, BX")
	f.op("DECQ R10")
	f.op("JNZ loop")
	for c := range 4 {
		f.op("VADDPS Y%d, Y%d, Y%d", c, 8+c, 8+c)
	}
	f.op("TESTQ CX, CX")
	f.op("JNZ block")
	f.rowEnd(8)
}

// bf16Row is the same over pairs.
func bf16Row(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	f.row("Requires: AVX2, FMA", "rowBF16AVX2", func() { f.op("VBROADCASTSS %s, Y15", mask) }, func() {
		f.op("VBROADCASTSS (AX), Y4")
		f.op("VBROADCASTSS 4(AX), Y5")
		for c := range 4 {
			f.op("VMOVUPS %d(BX), Y%d", 32*c, 6+c)
			f.op("VPSLLD $16, Y%d, Y%d", 6+c, 10+c)
			f.op("VPAND Y15, Y%d, Y%d", 6+c, 6+c)
		}
		for c := range 4 {
			f.op("VFMADD231PS Y%d, Y4, Y%d", 10+c, c)
		}
		for c := range 4 {
			f.op("VFMADD231PS Y%d, Y5, Y%d", 6+c, c)
		}
		f.op("ADDQ $8, AX")
	})
}

// row is a function of one row, whose sums run over k in Y0–Y3.
func (f *file) row(doc, name string, prologue, body func()) {
	f.rowBegin(doc, name, prologue, 0)
	f.label("loop")
	body()
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.rowEnd(0)
}

// rowBegin opens a function of one row: c, a and b as tiles have them, k, and
// whether c is added to. The four registers from first on are c or zero.
func (f *file) rowBegin(doc, name string, prologue func(), first int) {
	f.text(doc, name, 40)
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ a+8(FP), AX")
	f.op("MOVQ b+16(FP), BX")
	f.op("MOVQ k+24(FP), CX")
	f.op("MOVQ load+32(FP), DX")
	if prologue != nil {
		prologue()
	}
	for c := range 4 {
		f.op("VXORPS Y%d, Y%d, Y%d", first+c, first+c, first+c)
	}
	f.op("TESTQ DX, DX")
	f.op("JZ start")
	for c := range 4 {
		f.op("VMOVUPS %d(DI), Y%d", 32*c, first+c)
	}
	f.label("start")
}

// rowEnd stores the four registers from first on.
func (f *file) rowEnd(first int) {
	for c := range 4 {
		f.op("VMOVUPS Y%d, %d(DI)", first+c, 32*c)
	}
	f.end()
}
