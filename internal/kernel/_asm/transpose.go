package main

import "fmt"

// transpose writes the kernels that turn 16×16 blocks of 32-bit words: all
// packing of rows into panels, and of panels into transposed panels, is made
// of them.
func transpose() *file {
	f := newFile("transpose_amd64.s")
	blocks(f, "transposeBlocksAVX512", false)
	blocks(f, "transposeBlocksMaskedAVX512", true)
	pairRows(f)
	pairPanels(f)
	blocks8(f)
	pairPanels8(f)
	for _, w := range []width{w512, w256} {
		roundBF16(f, w)
	}
	return f
}

// turn transposes the 16 words of each of Z0–Z15: afterwards Z<c> holds
// column c. Words are interleaved within 128-bit lanes by ones and twos, then
// the lanes are.
func turn(f *file) {
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

// blocks: turns of 16 rows at src+offsets[r], 16 words a time, into lines
// stride bytes apart; masked stores only the lowest words of a line.
func blocks(f *file, name string, masked bool) {
	args := 40
	if masked {
		args = 48
	}
	f.text("Requires: AVX512F", name, args)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ turns+32(FP), CX")
	if masked {
		f.op("MOVQ mask+40(FP), AX")
		f.op("KMOVW AX, K1")
	}
	f.label("loop")
	for r := range 16 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Z%d", r)
	}
	turn(f)
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

// pairRows: as blocks, masked, but each row's 32 float32 of a turn are
// rounded to 16 pairs of bfloat16 first.
func pairRows(f *file) {
	f.text("Requires: AVX512F, AVX512_BF16", "transposePairRowsAVX512", 48)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ turns+32(FP), CX")
	f.op("MOVQ mask+40(FP), AX")
	f.op("KMOVW AX, K1")
	f.label("loop")
	for r := range 16 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Z%d", 16+r%8*2)
		f.op("VMOVUPS 64(SI)(R8*1), Z%d", 17+r%8*2)
		f.op("%s", vcvtne2ps2bf16(16+r%8*2, 17+r%8*2, r))
	}
	turn(f)
	for c := range 16 {
		f.op("VMOVUPS Z%d, K1, (DI)", c)
		f.op("ADDQ DX, DI")
	}
	f.op("ADDQ $128, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.end()
}

// pairPanels turns one block of a bfloat16 panel, 16 lines of 16 words, each
// word the pair (k even, k odd) of one output, into 8 lines of 32 words, each
// the pair (output even, output odd) of one k. Lines are 128 bytes apart.
func pairPanels(f *file) {
	f.text("Requires: AVX512F", "transposePairPanelAVX512", 16)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	for r := range 16 {
		f.op("VMOVUPS %d(SI), Z%d", 128*r, r)
	}
	turn(f)
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

// turn8 transposes the 8 words of each of Y0–Y7.
func turn8(f *file) {
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

// blocks8: turns of 8 rows at src+offsets[r], 8 words a time, into lines
// stride bytes apart.
func blocks8(f *file) {
	f.text("Requires: AVX", "transposeBlocksAVX2", 40)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ stride+8(FP), DX")
	f.op("MOVQ src+16(FP), SI")
	f.op("MOVQ offsets+24(FP), BX")
	f.op("MOVQ turns+32(FP), CX")
	f.label("loop")
	for r := range 8 {
		f.op("MOVQ %d(BX), R8", 8*r)
		f.op("VMOVUPS (SI)(R8*1), Y%d", r)
	}
	turn8(f)
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
	f.text("Requires: AVX2", "transposePairPanelAVX2", 16)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	for r := range 8 {
		f.op("VMOVUPS %d(SI), Y%d", 128*r, r)
	}
	turn8(f)
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

// roundBF16 rounds blocks of 16 float32 values to bfloat16 in place: half of
// the last kept place, and its own bit for ties to even, are added before the
// rest is cut. NaN stays NaN, made quiet.
func roundBF16(f *file, w width) {
	half, infinity := f.constant("halfPlace", 0x7fff), f.constant("infinity", 0x7f800000)
	magnitude, quiet := f.constant("magnitude", 0x7fffffff), f.constant("quiet", 0x00400000)
	f.text("Requires: "+w.name, "roundBF16"+w.name, 16)
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
