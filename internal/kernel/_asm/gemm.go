package main

import "fmt"

// tileParams are the parameters of the tiles. ldc is the distance of c's rows in
// bytes. a is packed rows [k][rows], b one block of a panel: [k][32] float32 or
// [k/2][32][2] bfloat16. load is 1 if the product is added to c.
//
// Each element has one accumulator, and k ascends, so that a sum does not depend
// on the rows, the blocking or the threads. The float32 tiles add up blocks of
// sumBlock terms; see sumBlocks.
const tileParams = "c *float32, ldc uintptr, a, b *float32, rows, k int, load uintptr"

// sumBlock is the constant of package kernel.
const sumBlock = 128

// gemm writes the matrix-product tiles.
func gemm() *file {
	f := newFile("gemm")
	f32AVX512(f)
	bf16AVX512BF16(f)
	bf16AVX512(f)
	f32AVX2(f)
	bf16AVX2(f)
	f32Row(f)
	bf16Row(f)
	return f
}

// prefetch loads the next lines of the panel for tiles of 2 to 5 rows. Such tiles
// belong to small batches, whose weights come from memory. In large batches, which
// have whole tiles, prefetching evicts lines that are still needed.
func prefetch(f *file, rows int) {
	if rows > 1 && rows < 6 {
		f.op("PREFETCHT0 2048(BX)")
	}
}

// tile512Params are the parameters of the AVX-512 tiles. Besides its own operands, such a
// tile loads weights that the next tiles need: from ahead bytes after b on, step bytes
// for each k.
const tile512Params = tileParams + ", ahead, step uintptr"

// tile512 is tile for the AVX-512 tiles.
func (f *file) tile512(r routine, prologue func(), body func(rows int)) {
	r.params = tile512Params
	f.tile(r, 12, func() {
		f.op("MOVQ ahead+56(FP), R11")
		f.op("ADDQ BX, R11")
		f.op("MOVQ step+64(FP), R12")
		if prologue != nil {
			prologue()
		}
	}, body)
}

// prefetchNext loads the next two lines, into the second-level cache. A nearer prefetch as
// well would slow small batches down by a sixth.
func prefetchNext(f *file) {
	f.op("PREFETCHT1 (R11)")
	f.op("PREFETCHT1 64(R11)")
	f.op("ADDQ R12, R11")
}

// tile writes a tile: a body for each number of rows up to most, among which the
// argument rows chooses. prologue runs before that choice.
func (f *file) tile(r routine, most int, prologue func(), body func(rows int)) {
	if r.params == "" {
		r.params = tileParams
	}
	r.does += fmt.Sprintf(" for 1 to %d rows; ldc is in bytes", most)
	f.text(r)
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
	columns := 16
	if most == 12 {
		columns = 32
	}
	f.choose("R9", most, func(rows int) {
		prefetchNextTile(f, rows, most, columns)
		body(rows)
	})
}

// prefetchNextTile loads the rows of c that the next tile writes, into the second-level
// cache. Rows whose distance is a multiple of a large power of two lie in a few sets of the
// caches; waiting for them takes a fifth to a third of a tile's time. Tiles of few rows are
// the only ones of their product.
func prefetchNextTile(f *file, rows, most, columns int) {
	if rows <= most*2/3 {
		return
	}
	f.op("IMUL3Q $%d, SI, R8", rows)
	f.op("ADDQ DI, R8")
	for r := range rows {
		for at := 0; at < 4*columns; at += 64 {
			f.op("PREFETCHT1 %d(R8)", at)
		}
		if r < rows-1 {
			f.op("ADDQ SI, R8")
		}
	}
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

// tileLoad begins a sum over k: the accumulators start with zero, or with c.
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

// tileStore ends the sum that tileLoad began.
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

// sumBlocks begins a sum over k in blocks of sumBlock terms. Each block is summed
// from zero and then added to c: the rounding error then grows with the root of
// the block's length and the number of blocks, not with the root of k. R10 counts
// the terms left in a block, CX the terms after it.
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

// blockLength moves the length of the next block from CX to R10.
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

// eachElement calls op for each register of the tile. R8 points at its row of c.
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

func f32Tile(name, requires string, columns int) routine {
	does := fmt.Sprintf("computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j] for %d columns, k ascending,", columns)
	return routine{name: name, requires: requires, does: does, twin: "tileF32Generic"}
}

func bf16Tile(name, requires string, columns int) routine {
	does := fmt.Sprintf("computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j] over k pairs of bfloat16 for %d columns, k ascending,", columns)
	return routine{name: name, requires: requires, does: does, twin: "tileBF16Generic"}
}

// f32AVX512 has rows×32 accumulators in Z0–Z23 and B in Z24–Z25.
func f32AVX512(f *file) {
	f.tile512(f32Tile("tileF32AVX512", "AVX512F", 32), nil, func(rows int) {
		sumBlocks(f, zmm, "VPXORQ", rows, 2)
		f.op("VMOVUPS (BX), Z24")
		f.op("VMOVUPS 64(BX), Z25")
		prefetchNext(f)
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

// bf16AVX512BF16 is f32AVX512 for pairs of bfloat16, with VDPBF16PS. k counts
// pairs.
func bf16AVX512BF16(f *file) {
	f.tile512(bf16Tile("tileBF16AVX512BF16", "AVX512F and AVX512_BF16", 32), nil, func(rows int) {
		tileLoad(f, zmm, "VPXORQ", rows, 2, 64)
		f.op("VMOVUPS (BX), Z24")
		f.op("VMOVUPS 64(BX), Z25")
		prefetchNext(f)
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

// bf16AVX512 widens pairs to float32: the even k is the low half shifted left,
// the odd k the high half masked. A is float32 [k][rows]. k counts pairs.
func bf16AVX512(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	f.tile512(bf16Tile("tileBF16AVX512", "AVX512F", 32), func() { f.op("VBROADCASTSS %s, Z28", mask) }, func(rows int) {
		tileLoad(f, zmm, "VPXORQ", rows, 2, 64)
		prefetchNext(f)
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

// f32AVX2 has rows×16 accumulators in Y0–Y11. b points at half a panel.
func f32AVX2(f *file) {
	f.tile(f32Tile("tileF32AVX2", "AVX2 and FMA", 16), 6, nil, func(rows int) {
		sumBlocks(f, ymm, "VXORPS", rows, 2)
		f.op("VMOVUPS (BX), Y12")
		f.op("VMOVUPS 32(BX), Y13")
		prefetch(f, rows)
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

// bf16AVX2 widens pairs as bf16AVX512 does.
func bf16AVX2(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	f.tile(bf16Tile("tileBF16AVX2", "AVX2 and FMA", 16), 6, func() { f.op("VBROADCASTSS %s, Y15", mask) }, func(rows int) {
		tileLoad(f, ymm, "VXORPS", rows, 2, 32)
		prefetch(f, rows)
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

// f32Row writes a tile of one row and all 32 columns in Y0–Y3: it reads a panel
// once, from beginning to end. Blocks of sumBlock terms are added up in Y8–Y11.
func f32Row(f *file) {
	f.rowBegin(routine{name: "rowF32AVX2", does: "computes c[j] (=|+=) Σₖ a[k]·b[k][j]", twin: "tileF32Generic"}, nil, 8)
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

// bf16Row is f32Row for pairs of bfloat16.
func bf16Row(f *file) {
	mask := f.constant("highHalf", 0xffff0000)
	r := routine{name: "rowBF16AVX2", does: "computes c[j] (=|+=) Σₖ a[k]·b[k][j] over pairs of bfloat16 k", twin: "tileBF16Generic"}
	f.row(r, func() { f.op("VBROADCASTSS %s, Y15", mask) }, func() {
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

// row writes a tile of one row, whose sums run over k in Y0–Y3.
func (f *file) row(r routine, prologue, body func()) {
	f.rowBegin(r, prologue, 0)
	f.label("loop")
	body()
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.rowEnd(0)
}

// rowBegin opens a tile of one row. The four registers from first on start with c
// or with zero.
func (f *file) rowBegin(r routine, prologue func(), first int) {
	r.params, r.requires = "c, a, b *float32, k int, load uintptr", "AVX2 and FMA"
	r.does += " for one row and 32 columns"
	f.text(r)
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
