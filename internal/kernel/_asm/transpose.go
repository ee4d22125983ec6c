package main

import "fmt"

// transpose writes the kernels that transpose blocks of 32-bit words. All packing
// of rows into panels, and of panels into transposed panels, uses them.
func transpose() *file {
	f := newFile("transpose")
	rowBlocks(f, "transposeBlocksAVX512", false)
	rowBlocks(f, "transposeBlocksMaskedAVX512", true)
	pairRows(f)
	pairPanels(f)
	rowBlocks8(f)
	pairPanels8(f)
	for _, w := range []width{w512, w256} {
		roundBF16(f, w)
		gather(f, w)
	}
	return f
}

// transpose16 transposes the 16 words of each of Z0–Z15: afterwards Z<c> holds
// column c. It interleaves single words, then pairs of words within 128-bit
// lanes, then the lanes.
func transpose16(f *file) {
	for i := 0; i < 16; i += 2 {
		f.op("VUNPCKLPS Z%d, Z%d, Z%d", i+1, i, 16+i)
		f.op("VUNPCKHPS Z%d, Z%d, Z%d", i+1, i, 17+i)
	}
	for g := 0; g < 16; g += 4 {
		for c := range 2 {
			f.op("VUNPCKLPD Z%d, Z%d, Z%d", 18+g+c, 16+g+c, g+2*c)
			f.op("VUNPCKHPD Z%d, Z%d, Z%d", 18+g+c, 16+g+c, g+2*c+1)
		}
	}
	for c := range 4 {
		f.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 4+c, c, 16+4*c)
		f.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 4+c, c, 17+4*c)
		f.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 12+c, 8+c, 18+4*c)
		f.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 12+c, 8+c, 19+4*c)
	}
	for c := range 4 {
		f.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 18+4*c, 16+4*c, c)
		f.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 19+4*c, 17+4*c, 4+c)
		f.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 18+4*c, 16+4*c, 8+c)
		f.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 19+4*c, 17+4*c, 12+c)
	}
}

// rowsToLines are the parameters of the routines that transpose rows.
const rowsToLines = "dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *[16]uintptr, blocks int"

// rowBlocks writes the transposition of 16 rows at src+offsets[r] into lines
// that are stride bytes apart, 16 words at a time. masked stores only the lowest
// words of a line.
func rowBlocks(f *file, name string, masked bool) {
	r := routine{
		name: name, params: rowsToLines,
		does: "transposes 16 rows of 32-bit words at src+offsets[r], in blocks of 16 words, into lines that are stride bytes apart",
		twin: "transposeRows", requires: "AVX512F",
	}
	if masked {
		r.params += ", mask uintptr"
		r.does += "; it stores the words of a line whose bit is set in mask"
	}
	f.text(r)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ blocks+32(FP), CX")
	if masked {
		f.op("MOVQ mask+40(FP), AX")
		f.op("KMOVW AX, K1")
	}
	f.label("loop")
	for r := range 16 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Z%d", r)
	}
	transpose16(f)
	for c := range 16 {
		if masked {
			f.op("VMOVUPS Z%d, K1, (DI)", c)
		} else {
			f.op("VMOVUPS Z%d, (DI)", c)
		}
		f.op("ADDQ DX, DI")
	}
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// pairRows writes the masked rowBlocks whose rows are float32: 32 values of a row
// are first rounded to 16 pairs of bfloat16.
func pairRows(f *file) {
	f.text(routine{
		name: "transposePairRowsAVX512BF16", params: rowsToLines + ", mask uintptr",
		does: "transposes 16 rows of float32 values at src+offsets[r], rounded to pairs of bfloat16, in blocks of 16 pairs, " +
			"into lines that are stride bytes apart; it stores the pairs of a line whose bit is set in mask",
		twin: "packPairs", requires: "AVX512F and AVX512_BF16",
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ blocks+32(FP), CX")
	f.op("MOVQ mask+40(FP), AX")
	f.op("KMOVW AX, K1")
	f.label("loop")
	for r := range 16 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Z%d", 16+r%8*2)
		f.op("VMOVUPS 64(SI)(R8*1), Z%d", 17+r%8*2)
		f.op("%s", vcvtne2ps2bf16(16+r%8*2, 17+r%8*2, r))
	}
	transpose16(f)
	for c := range 16 {
		f.op("VMOVUPS Z%d, K1, (DI)", c)
		f.op("ADDQ DX, DI")
	}
	f.op("ADDQ $128, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// pairPanels writes the transposition of one block of a bfloat16 panel. The block
// has 16 lines of 16 words, each the pair (k even, k odd) of one output. It
// becomes 8 lines of 32 words, each the pair (output even, output odd) of one k.
// Lines are 128 bytes apart.
func pairPanels(f *file) {
	f.text(routine{
		name: "transposePairPanelAVX512", params: "dst, src unsafe.Pointer",
		does: "turns 16 lines of 16 pairs (k even, k odd) into 8 lines of 32 pairs (output even, output odd); lines are 128 bytes apart",
		twin: "TransposePanelBF16", requires: "AVX512F",
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	for r := range 16 {
		f.op("VMOVUPS %d(SI), Z%d", 128*r, r)
	}
	transpose16(f)
	f.op("VMOVUPS interleaveLow<>(SB), Z16")
	f.op("VMOVUPS interleaveHigh<>(SB), Z17")
	f.op("VPTERNLOGD $0xff, Z18, Z18, Z18")
	f.op("VPSLLD $16, Z18, Z18") // high halves
	for m := range 8 {
		a, b := 2*m, 2*m+1
		lo, hi, t := 20+m%4*3, 21+m%4*3, 22+m%4*3
		f.op("VPSLLD $16, Z%d, Z%d", b, lo)
		f.op("VPANDND Z%d, Z18, Z%d", a, t) // low half of a
		f.op("VPORD Z%d, Z%d, Z%d", t, lo, lo)
		f.op("VPSRLD $16, Z%d, Z%d", a, hi)
		f.op("VPANDD Z%d, Z18, Z%d", b, t)
		f.op("VPORD Z%d, Z%d, Z%d", t, hi, hi)
		f.op("VMOVAPS Z%d, Z%d", lo, t)
		f.op("VPERMT2D Z%d, Z16, Z%d", hi, lo)
		f.op("VPERMT2D Z%d, Z17, Z%d", hi, t)
		f.op("VMOVUPS Z%d, %d(DI)", lo, 128*m)
		f.op("VMOVUPS Z%d, %d(DI)", t, 128*m+64)
	}
	f.end()
	for name, first := range map[string]int{"interleaveLow": 0, "interleaveHigh": 8} {
		f.vectors[name] = func() (v [16]uint32) {
			for i := range v {
				v[i] = uint32(first + i/2 + i%2*16)
			}
			return v
		}()
	}
}

// transpose8 transposes the 8 words of each of Y0–Y7 into Y8–Y15.
func transpose8(f *file) {
	for i := 0; i < 8; i += 2 {
		f.op("VUNPCKLPS Y%d, Y%d, Y%d", i+1, i, 8+i)
		f.op("VUNPCKHPS Y%d, Y%d, Y%d", i+1, i, 9+i)
	}
	for g := 0; g < 8; g += 4 {
		for c := range 2 {
			f.op("VUNPCKLPD Y%d, Y%d, Y%d", 10+g+c, 8+g+c, g+2*c)
			f.op("VUNPCKHPD Y%d, Y%d, Y%d", 10+g+c, 8+g+c, g+2*c+1)
		}
	}
	for c := range 4 {
		f.op("VPERM2F128 $0x20, Y%d, Y%d, Y%d", 4+c, c, 8+c)
		f.op("VPERM2F128 $0x31, Y%d, Y%d, Y%d", 4+c, c, 12+c)
	}
}

// rowBlocks8 writes the transposition of 8 rows at src+offsets[r] into lines that
// are stride bytes apart, 8 words at a time.
func rowBlocks8(f *file) {
	f.text(routine{
		name: "transposeBlocksAVX2", params: "dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *uintptr, blocks int",
		does: "transposes 8 rows of 32-bit words at src+offsets[r], in blocks of 8 words, into lines that are stride bytes apart",
		twin: "transposeRows", requires: "AVX2",
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ blocks+32(FP), CX")
	f.label("loop")
	for r := range 8 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Y%d", r)
	}
	transpose8(f)
	for c := range 8 {
		f.op("VMOVUPS Y%d, (DI)", 8+c)
		f.op("ADDQ DX, DI")
	}
	f.op("ADDQ $32, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// pairPanels8 is pairPanels for 8 lines of 8 words, which become 4 lines of
// 16 words.
func pairPanels8(f *file) {
	f.text(routine{
		name: "transposePairPanelAVX2", params: "dst, src unsafe.Pointer",
		does: "turns 8 lines of 8 pairs (k even, k odd) into 4 lines of 16 pairs (output even, output odd); lines are 128 bytes apart",
		twin: "TransposePanelBF16", requires: "AVX2",
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	for r := range 8 {
		f.op("VMOVUPS %d(SI), Y%d", 128*r, r)
	}
	transpose8(f)
	for m := range 4 {
		a, b := 8+2*m, 9+2*m
		f.op("VPSLLD $16, Y%d, Y0", b)
		f.op("VPBLENDW $0xaa, Y0, Y%d, Y0", a) // low halves
		f.op("VPSRLD $16, Y%d, Y1", a)
		f.op("VPBLENDW $0xaa, Y%d, Y1, Y1", b) // high halves
		f.op("VPUNPCKLDQ Y1, Y0, Y2")
		f.op("VPUNPCKHDQ Y1, Y0, Y3")
		f.op("VPERM2I128 $0x20, Y3, Y2, Y4")
		f.op("VPERM2I128 $0x31, Y3, Y2, Y5")
		f.op("VMOVUPS Y4, %d(DI)", 128*m)
		f.op("VMOVUPS Y5, %d(DI)", 128*m+32)
	}
	f.end()
}

// roundBF16 writes the rounding to bfloat16. It adds just under half a unit of
// the last kept bit, plus that bit itself so that ties go to even, and then
// clears the low half. NaN stays NaN and becomes quiet.
func roundBF16(f *file, w width) {
	half, infinity := f.constant("halfPlace", 0x7fff), f.constant("infinity", 0x7f800000)
	magnitude, quiet := f.constant("magnitude", 0x7fffffff), f.constant("quiet", 0x00400000)
	f.text(routine{
		name: "roundBF16" + w.name, params: "x unsafe.Pointer, blocks int",
		does: "rounds float32 values to bfloat16 in place, ties to even, for blocks of 16 values", twin: "RoundBF16", requires: w.requires,
	})
	f.op("MOVQ x+0(FP), DI")
	f.op("MOVQ blocks+8(FP), CX")
	for i, c := range []string{half, infinity, magnitude, quiet} {
		f.op("VPBROADCASTD %s, %s", c, w.r(8+i))
	}
	and, or := "VPAND", "VPOR"
	if w.n == 16 {
		and, or = "VPANDD", "VPORD"
	}
	f.label("loop")
	for i := range 16 / w.n {
		x, t, nan, kept := w.r(0), w.r(1), w.r(2), w.r(3)
		f.op("VMOVUPS %d(DI), %s", 4*w.n*i, x)
		f.op("VPSLLD $15, %s, %s", x, t)
		f.op("VPSRLD $31, %s, %s", t, t)
		f.op("VPADDD %s, %s, %s", w.r(8), t, t)
		f.op("VPADDD %s, %s, %s", x, t, t)
		f.op("%s %s, %s, %s", and, w.r(10), x, nan)
		f.op("%s %s, %s, %s", or, w.r(11), x, kept)
		if w.n == 16 {
			f.op("VPCMPGTD %s, %s, K1", w.r(9), nan)
			f.op("VMOVDQA32 %s, K1, %s", kept, t)
		} else {
			f.op("VPCMPGTD %s, %s, %s", w.r(9), nan, nan)
			f.op("VPBLENDVB %s, %s, %s, %s", nan, kept, t, t)
		}
		f.op("VPSRLD $16, %s, %s", t, t)
		f.op("VPSLLD $16, %s, %s", t, t)
		f.op("VMOVUPS %s, %d(DI)", t, 4*w.n*i)
	}
	f.op("ADDQ $64, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// vcvtne2ps2bf16 returns VCVTNE2PS2BF16 low, high, dst (Go order) as bytes:
// EVEX.512.F2.0F38.W0 72 /r.
func vcvtne2ps2bf16(low, high, dst int) string {
	return evexBytes(0x72, 2, 3, low, high, dst) + fmt.Sprintf(" // VCVTNE2PS2BF16 Z%d, Z%d, Z%d", low, high, dst)
}

// gather writes the copies of 32 words from each of several rows into lines that follow
// one another.
func gather(f *file, w width) {
	f.text(routine{
		name: "gather" + w.name, params: "dst, src unsafe.Pointer, rows *int32, ld uintptr, n int",
		does: "copies 32 words from src + rows[i]·ld to line i of dst, for i < n; ld is in bytes",
		twin: "GatherPanel", requires: w.requires,
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), R13")
	f.op("MOVQ rows+16(FP), SI")
	f.op("MOVQ ld+24(FP), DX")
	f.op("MOVQ n+32(FP), CX")
	f.label("loop")
	f.op("MOVLQSX (SI), AX")
	f.op("IMULQ DX, AX")
	for i := range 32 / w.n {
		f.op("VMOVUPS %d(R13)(AX*1), %s", i*w.n*4, w.r(i))
	}
	for i := range 32 / w.n {
		f.op("VMOVUPS %s, %d(DI)", w.r(i), i*w.n*4)
	}
	f.op("ADDQ $4, SI")
	f.op("ADDQ $128, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}
