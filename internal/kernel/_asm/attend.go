package main

import "fmt"

// attend writes the products of attention. Scores and weighted sums find the rows
// of keys and values by a list of offsets, counted in values.
func attend() *file {
	f := newFile("attend")
	prefetchLines(f)
	for rows := 1; rows <= 4; rows++ {
		scoresPanel(f, rows)
	}
	for _, w := range []width{w512, w256} {
		for rows := 1; rows <= 3; rows++ {
			scores(f, w, rows)
		}
		weightedSum(f, w)
		for rows := 1; rows <= 6; rows++ {
			mulPanel(f, w, rows)
			mulPanelT(f, w, rows)
		}
	}
	return f
}

// prefetchLines writes a request for lines of the cache.
func prefetchLines(f *file) {
	f.text(routine{
		name: "prefetchLines", params: "x *float32, lines int", does: "asks for lines of 64 bytes, for the second-level cache",
		twin: "Prefetch", requires: "SSE",
	})
	f.op("MOVQ x+0(FP), SI")
	f.op("MOVQ lines+8(FP), CX")
	f.label("loop")
	f.op("PREFETCHT1 (SI)")
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("RET")
	f.WriteString("\n")
}

var rowRegisters = []string{"R8", "R9", "R10", "R11"}

// fourRows loads pointers to the next four rows.
func fourRows(f *file) {
	for i, r := range rowRegisters {
		f.op("MOVQ %d(SI), %s", 8*i, r)
		f.op("LEAQ (R13)(%s*4), %s", r, r)
	}
}

// scores writes the dot products of up to three queries with groups of four keys.
// A dot product has one accumulator, whose lanes are added in an order that does
// not depend on the other queries and keys.
func scores(f *file, w width, rows int) {
	f.text(routine{
		name:   fmt.Sprintf("scores%sx%d", w.name, rows),
		params: "dst *float32, ldd uintptr, q *float32, ldq uintptr, k *float32, at *int, groups, blocks int",
		does: fmt.Sprintf("sets dst[r][j] = q[r]·k[at[j]] for %d queries and groups of four keys, whose width is blocks·16; "+
			"ldd and ldq are in bytes, at in values", rows),
		twin: "scoresGeneric", requires: w.requires,
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ ldd+8(FP), R12")
	f.op("MOVQ ldq+24(FP), DX")
	f.op("MOVQ k+32(FP), R13")
	f.op("MOVQ at+40(FP), SI")
	f.op("MOVQ groups+48(FP), BX")
	f.label("group")
	fourRows(f)
	f.op("MOVQ q+16(FP), AX")
	f.op("MOVQ blocks+56(FP), CX")
	for i := range 4 * rows {
		w.clear(f, i)
	}
	query := []string{"%d(AX)", "%d(AX)(DX*1)", "%d(AX)(DX*2)"}
	f.label("loop")
	for v := range 16 / w.n {
		off := v * w.n * 4
		for r := range rows {
			f.op("VMOVUPS "+query[r]+", %s", off, w.r(12+r))
		}
		for i, p := range rowRegisters {
			f.op("VMOVUPS %d(%s), %s", off, p, w.r(15))
			for r := range rows {
				f.op("VFMADD231PS %s, %s, %s", w.r(15), w.r(12+r), w.r(4*r+i))
			}
		}
	}
	f.op("ADDQ $64, AX")
	for _, p := range rowRegisters {
		f.op("ADDQ $64, %s", p)
	}
	f.op("DECQ CX")
	f.op("JNZ loop")
	for r := range rows {
		a := 4 * r
		if w.n == 16 {
			for i := range 4 {
				f.op("VEXTRACTF64X4 $1, Z%d, Y12", a+i)
				f.op("VADDPS Y12, Y%d, Y%d", a+i, a+i)
			}
		}
		f.op("VHADDPS Y%d, Y%d, Y%d", a+1, a, a)
		f.op("VHADDPS Y%d, Y%d, Y%d", a+3, a+2, a+2)
		f.op("VHADDPS Y%d, Y%d, Y%d", a+2, a, a)
		f.op("VEXTRACTF128 $1, Y%d, X12", a)
		f.op("VADDPS X12, X%d, X%d", a, a)
		f.op("VMOVUPS X%d, %s", a, []string{"(DI)", "(DI)(R12*1)", "(DI)(R12*2)"}[r])
	}
	f.op("ADDQ $16, DI")
	f.op("ADDQ $32, SI")
	f.op("DECQ BX")
	f.op("JNZ group")
	f.end()
}

// laneOrder is the order in which scores adds up the 16 lanes of an accumulator: the sum
// of each pair, of pairs of sums, and so on.
var laneOrder = [16]int{0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15}

// scoresPanel writes the dot products of up to four queries with a panel of 32 keys. A
// lane of scores' accumulator is here a register with 32 keys, and no register has to be
// added up. Two lanes are computed at a time, in Z0–Z23: the first two sets of registers
// hold the first pair of lanes, the last two sets the second pair. Their sums go through
// the stack.
func scoresPanel(f *file, rows int) {
	size := rows * 128 // bytes of a set
	f.text(routine{
		name: fmt.Sprintf("scoresPanelAVX512x%d", rows), frame: size,
		params: "dst *float32, ldd uintptr, q *float32, ldq uintptr, panel *float32, blocks int",
		does: fmt.Sprintf("sets dst[r][j] = Σᵢ q[r][i]·panel[i][j] for %d queries and 32 keys, whose width is blocks·16, "+
			"with the bits of scores; ldd and ldq are in bytes", rows),
		twin: "scoresGeneric", requires: w512.requires,
	})
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ ldd+8(FP), SI")
	f.op("MOVQ ldq+24(FP), DX")
	f.op("LEAQ (DX)(DX*2), R9")
	f.op("LEAQ (SI)(SI*2), R10")
	reg := func(set, r, c int) string { return fmt.Sprintf("Z%d", 2*rows*set+2*r+c) }
	each := func(op func(r, c int)) {
		for r := range rows {
			for c := range 2 {
				op(r, c)
			}
		}
	}
	add := func(from, to int) {
		each(func(r, c int) { f.op("VADDPS %s, %s, %s", reg(from, r, c), reg(to, r, c), reg(to, r, c)) })
	}
	query := []string{"%d(AX)", "%d(AX)(DX*1)", "%d(AX)(DX*2)", "%d(AX)(R9*1)"}
	pair := func(lanes []int, set int) {
		for s := set; s < set+2; s++ {
			each(func(r, c int) { f.op("VPXORQ %[1]s, %[1]s, %[1]s", reg(s, r, c)) })
		}
		f.op("MOVQ q+16(FP), AX")
		f.op("MOVQ panel+32(FP), BX")
		f.op("MOVQ blocks+40(FP), CX")
		loop := fmt.Sprintf("lanes%d", lanes[0])
		f.label(loop)
		for i, lane := range lanes {
			f.op("VMOVUPS %d(BX), Z24", 128*lane)
			f.op("VMOVUPS %d(BX), Z25", 128*lane+64)
			for r := range rows {
				t := fmt.Sprintf("Z%d", 26+r)
				f.op("VBROADCASTSS "+query[r]+", %s", 4*lane, t)
				f.op("VFMADD231PS Z24, %s, %s", t, reg(set+i, r, 0))
				f.op("VFMADD231PS Z25, %s, %s", t, reg(set+i, r, 1))
			}
		}
		f.op("ADDQ $64, AX")
		f.op("ADDQ $2048, BX")
		f.op("DECQ CX")
		f.op("JNZ %s", loop)
		add(set+1, set)
	}
	stack := func(op string) {
		each(func(r, c int) { f.op(op, reg(0, r, c), fmt.Sprintf("sums-%d(SP)", size-128*r-64*c)) })
	}
	result := func(op string) {
		at := []string{"%d(DI)", "%d(DI)(SI*1)", "%d(DI)(SI*2)", "%d(DI)(R10*1)"}
		each(func(r, c int) { f.op(op, reg(0, r, c), fmt.Sprintf(at[r], 64*c)) })
	}
	// The sum of the first two quarters is on the stack, the third quarter in dst.
	for quarter := range 4 {
		lanes := laneOrder[4*quarter:]
		pair(lanes[:2], 0)
		pair(lanes[2:4], 1)
		add(1, 0)
		switch quarter {
		case 0:
			stack("VMOVUPS %s, %s")
		case 1:
			stack("VADDPS %[2]s, %[1]s, %[1]s")
			stack("VMOVUPS %s, %s")
		case 2:
			result("VMOVUPS %s, %s")
		case 3:
			result("VADDPS %[2]s, %[1]s, %[1]s")
			stack("VADDPS %[2]s, %[1]s, %[1]s")
			result("VMOVUPS %s, %s")
		}
	}
	f.end()
}

// weightedSum writes y += Σ p[j]·row j, j ascending, for groups of four rows.
func weightedSum(f *file, w width) {
	f.text(routine{
		name: "weightedSum" + w.name, params: "y, p, v *float32, at *int, groups, blocks int",
		does: "adds Σ p[j]·v[at[j]] to y, j ascending, for groups of four rows, whose width is blocks·16; at is in values",
		twin: "weightedSumGeneric", requires: w.requires,
	})
	f.op("MOVQ p+8(FP), AX")
	f.op("MOVQ v+16(FP), R13")
	f.op("MOVQ at+24(FP), SI")
	f.op("MOVQ groups+32(FP), BX")
	f.label("group")
	fourRows(f)
	for i := range 4 {
		f.op("VBROADCASTSS %d(AX), %s", 4*i, w.r(12+i))
	}
	f.op("MOVQ y+0(FP), DI")
	f.op("MOVQ blocks+40(FP), CX")
	f.label("loop")
	for v := range 16 / w.n {
		f.op("VMOVUPS %d(DI), %s", v*w.n*4, w.r(v))
	}
	for i, p := range rowRegisters {
		for v := range 16 / w.n {
			f.op("VFMADD231PS %d(%s), %s, %s", v*w.n*4, p, w.r(12+i), w.r(v))
		}
	}
	for v := range 16 / w.n {
		f.op("VMOVUPS %s, %d(DI)", w.r(v), v*w.n*4)
	}
	f.op("ADDQ $64, DI")
	for _, p := range rowRegisters {
		f.op("ADDQ $64, %s", p)
	}
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("ADDQ $16, AX")
	f.op("ADDQ $32, SI")
	f.op("DECQ BX")
	f.op("JNZ group")
	f.end()
}

// mulPanelParams are the parameters of the products with a panel.
const mulPanelParams = "c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, k int"

// mulPanel writes c[r] = Σ a[r][k]·b[k] for up to six unpacked rows of a and a
// panel b [k][32], k ascending: the sums of weightedSum. AVX2 computes 16 columns.
func mulPanel(f *file, w width, rows int) {
	f.text(routine{
		name: fmt.Sprintf("mulPanel%sx%d", w.name, rows), params: mulPanelParams,
		does: fmt.Sprintf("sets c[r][j] = Σₖ a[r][k]·b[k][j] for %d rows and %d columns, k ascending; ldc and lda are in bytes", rows,
			2*w.n),
		twin: "mulPanelGeneric", requires: w.requires,
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ lda+24(FP), DX")
	f.op("MOVQ b+32(FP), BX")
	f.op("MOVQ k+40(FP), CX")
	f.op("LEAQ (AX)(DX*2), R8")
	f.op("ADDQ DX, R8")
	for i := range 2 * rows {
		w.clear(f, i)
	}
	at := []string{"(AX)", "(AX)(DX*1)", "(AX)(DX*2)", "(R8)", "(R8)(DX*1)", "(R8)(DX*2)"}
	f.label("loop")
	f.op("VMOVUPS (BX), %s", w.r(12))
	f.op("VMOVUPS %d(BX), %s", 4*w.n, w.r(13))
	for r := range rows {
		t := 14 + r%2
		f.op("VBROADCASTSS %s, %s", at[r], w.r(t))
		f.op("VFMADD231PS %s, %s, %s", w.r(12), w.r(t), w.r(2*r))
		f.op("VFMADD231PS %s, %s, %s", w.r(13), w.r(t), w.r(2*r+1))
	}
	f.op("ADDQ $4, AX")
	if rows > 3 {
		f.op("ADDQ $4, R8")
	}
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	for r := range rows {
		for c := range 2 {
			f.op("VMOVUPS %s, %d(DI)", w.r(2*r+c), 4*w.n*c)
		}
		if r < rows-1 {
			f.op("ADDQ SI, DI")
		}
	}
	f.end()
}

// mulPanelT writes c[j] += Σ a[k][j]·b[k] for up to six columns of an unpacked a
// and a panel b [k][32], k ascending. AVX2 computes 16 columns of c.
func mulPanelT(f *file, w width, columns int) {
	f.text(routine{
		name: fmt.Sprintf("mulPanelT%sx%d", w.name, columns), params: mulPanelParams,
		does: fmt.Sprintf("adds Σₖ a[k][i]·b[k][j] to c[i][j] for %d columns of a and %d of b, k ascending; ldc and lda are in bytes",
			columns, 2*w.n),
		twin: "mulPanelTGeneric", requires: w.requires,
	})
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), SI")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ lda+24(FP), DX")
	f.op("MOVQ b+32(FP), BX")
	f.op("MOVQ k+40(FP), CX")
	f.op("MOVQ DI, R8")
	for j := range columns {
		for c := range 2 {
			f.op("VMOVUPS %d(R8), %s", 4*w.n*c, w.r(2*j+c))
		}
		f.op("ADDQ SI, R8")
	}
	f.label("loop")
	f.op("VMOVUPS (BX), %s", w.r(12))
	f.op("VMOVUPS %d(BX), %s", 4*w.n, w.r(13))
	for j := range columns {
		t := 14 + j%2
		f.op("VBROADCASTSS %d(AX), %s", 4*j, w.r(t))
		f.op("VFMADD231PS %s, %s, %s", w.r(12), w.r(t), w.r(2*j))
		f.op("VFMADD231PS %s, %s, %s", w.r(13), w.r(t), w.r(2*j+1))
	}
	f.op("ADDQ DX, AX")
	f.op("ADDQ $128, BX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	for j := range columns {
		for c := range 2 {
			f.op("VMOVUPS %s, %d(DI)", w.r(2*j+c), 4*w.n*c)
		}
		f.op("ADDQ SI, DI")
	}
	f.end()
}
