package main

import "fmt"

// attend writes the two products of attention that need no packing: they find
// the rows of keys and values by a list of places, counted in values.
func attend() *file {
	f := newFile("attend_amd64.s")
	for _, w := range []width{w512, w256} {
		for rows := 1; rows <= 3; rows++ {
			scores(f, w, rows)
		}
		weighted(f, w)
	}
	return f
}

var placeRegisters = []string{"R8", "R9", "R10", "R11"}

// places loads pointers to the next four rows.
func places(f *file) {
	for i, r := range placeRegisters {
		f.op("MOVQ %d(SI), %s", 8*i, r)
		f.op("LEAQ (R13)(%s*4), %s", r, r)
	}
}

// scores: the dot products of up to three queries with four keys at once, for
// groups of four keys. A dot product has one accumulator, whose lanes are
// added in the same order whatever stands beside it.
func scores(f *file, w width, rows int) {
	f.text("Requires: "+w.name, fmt.Sprintf("scores%sx%d", w.name, rows), 64)
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ ldd+8(FP), R12")
	f.op("MOVQ ldq+24(FP), DX")
	f.op("MOVQ k+32(FP), R13")
	f.op("MOVQ at+40(FP), SI")
	f.op("MOVQ groups+48(FP), BX")
	f.label("group")
	places(f)
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
		for i, p := range placeRegisters {
			f.op("VMOVUPS %d(%s), %s", off, p, w.r(15))
			for r := range rows {
				f.op("VFMADD231PS %s, %s, %s", w.r(15), w.r(12+r), w.r(4*r+i))
			}
		}
	}
	f.op("ADDQ $64, AX")
	for _, p := range placeRegisters {
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

// weighted: y += Σ p[j]·row j, j ascending, for groups of four rows.
func weighted(f *file, w width) {
	f.text("Requires: "+w.name, "weighted"+w.name, 48)
	f.op("MOVQ p+8(FP), AX")
	f.op("MOVQ v+16(FP), R13")
	f.op("MOVQ at+24(FP), SI")
	f.op("MOVQ groups+32(FP), BX")
	f.label("group")
	places(f)
	for i := range 4 {
		f.op("VBROADCASTSS %d(AX), %s", 4*i, w.r(12+i))
	}
	f.op("MOVQ y+0(FP), DI")
	f.op("MOVQ blocks+40(FP), CX")
	f.label("loop")
	for v := range 16 / w.n {
		f.op("VMOVUPS %d(DI), %s", v*w.n*4, w.r(v))
	}
	for i, p := range placeRegisters {
		for v := range 16 / w.n {
			f.op("VFMADD231PS %d(%s), %s, %s", v*w.n*4, p, w.r(12+i), w.r(v))
		}
	}
	for v := range 16 / w.n {
		f.op("VMOVUPS %s, %d(DI)", w.r(v), v*w.n*4)
	}
	f.op("ADDQ $64, DI")
	for _, p := range placeRegisters {
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
