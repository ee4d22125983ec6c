package main

import "fmt"

// The tile kernels share one plan. Arguments: c, the bytes between its rows,
// a packed [k][rows], b one panel block [k][32] (or [k/2][32][2] bfloat16), k,
// and whether the accumulators start from c. One accumulator an element, k
// ascending: the sum does not depend on rows, blocking or threads.
const tileArgs = 48

func tileLoad(f *file, reg func(row, col int) string, zero string, rows, cols, width int, label string) {
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ b+24(FP), BX")
	f.op("MOVQ k+32(FP), CX")
	f.op("MOVQ load+40(FP), DX")
	for r := range rows {
		for c := range cols {
			f.op("%s %s, %s, %s", zero, reg(r, c), reg(r, c), reg(r, c))
		}
	}
	f.op("TESTQ DX, DX")
	f.op("JZ %s", label)
	f.op("MOVQ DI, R8")
	for r := range rows {
		for c := range cols {
			f.op("VMOVUPS %d(R8), %s", c*width, reg(r, c))
		}
		if r < rows-1 {
			f.op("ADDQ SI, R8")
		}
	}
	f.label(label)
}

func tileStore(f *file, reg func(row, col int) string, rows, cols, width int) {
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

// gemm writes the matrix-product tiles.
func gemm() *file {
	f := newFile("gemm_amd64.s")
	for rows := 1; rows <= 12; rows++ {
		f32AVX512(f, rows)
	}
	for rows := 1; rows <= 12; rows++ {
		bf16Dot(f, rows)
	}
	for rows := 1; rows <= 12; rows++ {
		bf16AVX512(f, rows)
	}
	for rows := 1; rows <= 6; rows++ {
		f32AVX2(f, rows)
		bf16AVX2(f, rows)
	}
	return f
}

func zmm(r, c int) string { return fmt.Sprintf("Z%d", 2*r+c) }
func ymm(r, c int) string { return fmt.Sprintf("Y%d", 2*r+c) }

// f32AVX512: rows×32 accumulators in Z0–Z23, B in Z24–Z25.
func f32AVX512(f *file, rows int) {
	f.text("Requires: AVX512F", fmt.Sprintf("tileF32AVX512x%d", rows), tileArgs)
	tileLoad(f, zmm, "VPXORQ", rows, 2, 64, "loop")
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
	f.op("DECQ CX")
	f.op("JNZ loop")
	tileStore(f, zmm, rows, 2, 64)
}

// bf16Dot: the same with pairs of bfloat16 and VDPBF16PS; k counts pairs.
func bf16Dot(f *file, rows int) {
	f.text("Requires: AVX512F, AVX512_BF16", fmt.Sprintf("tileBF16Dotx%d", rows), tileArgs)
	tileLoad(f, zmm, "VPXORQ", rows, 2, 64, "loop")
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
	f.op("DECQ CX")
	f.op("JNZ loop")
	tileStore(f, zmm, rows, 2, 64)
}

// bf16AVX512 widens pairs to float32: the even k is the low half shifted up,
// the odd k the high half masked. A is float32 [k][rows], k counts pairs.
func bf16AVX512(f *file, rows int) {
	mask := f.constant("highHalf", 0xffff0000)
	f.text("Requires: AVX512F", fmt.Sprintf("tileBF16AVX512x%d", rows), tileArgs)
	f.op("VBROADCASTSS %s, Z28", mask)
	tileLoad(f, zmm, "VPXORQ", rows, 2, 64, "loop")
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
	f.op("DECQ CX")
	f.op("JNZ loop")
	tileStore(f, zmm, rows, 2, 64)
}

// f32AVX2: rows×16 accumulators in Y0–Y11; b points at a half panel.
func f32AVX2(f *file, rows int) {
	f.text("Requires: AVX2, FMA", fmt.Sprintf("tileF32AVX2x%d", rows), tileArgs)
	tileLoad(f, ymm, "VXORPS", rows, 2, 32, "loop")
	f.op("VMOVUPS (BX), Y12")
	f.op("VMOVUPS 32(BX), Y13")
	for r := range rows {
		t := 14 + r%2
		f.op("VBROADCASTSS %d(AX), Y%d", 4*r, t)
		f.op("VFMADD231PS Y12, Y%d, %s", t, ymm(r, 0))
		f.op("VFMADD231PS Y13, Y%d, %s", t, ymm(r, 1))
	}
	f.op("ADDQ $%d, AX", 4*rows)
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	tileStore(f, ymm, rows, 2, 32)
}

// bf16AVX2 widens as bf16AVX512 does.
func bf16AVX2(f *file, rows int) {
	mask := f.constant("highHalf", 0xffff0000)
	f.text("Requires: AVX2, FMA", fmt.Sprintf("tileBF16AVX2x%d", rows), tileArgs)
	f.op("VBROADCASTSS %s, Y15", mask)
	tileLoad(f, ymm, "VXORPS", rows, 2, 32, "loop")
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
	f.op("DECQ CX")
	f.op("JNZ loop")
	tileStore(f, ymm, rows, 2, 32)
}
