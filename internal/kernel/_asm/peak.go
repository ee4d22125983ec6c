package main

import "fmt"

// peaks writes loops that only multiply and add in registers. Benchmarks report
// their share of this ceiling. VDPBF16PS needs more than twelve sums in flight.
func peaks() *file {
	f := newFile("peak")
	loop := func(requires, name string, w width, ins func(i int) string) {
		sums := 3 * w.n / 2
		f.text(routine{
			name: name, params: "iterations int", does: fmt.Sprintf("runs iterations of %d independent multiply-adds", sums),
			twin: "peakGeneric", requires: requires,
		})
		f.op("MOVQ iterations+0(FP), CX")
		for i := range sums {
			w.clear(f, i)
		}
		for i := range 4 {
			w.clear(f, w.peakOperand(i))
		}
		f.label("loop")
		for i := range sums {
			f.op("%s", ins(i))
		}
		f.op("DECQ CX")
		f.op("JNZ loop")
		f.end()
	}
	loop("AVX512F", "peakF32AVX512", w512, func(i int) string { return fmt.Sprintf("VFMADD231PS Z30, Z31, Z%d", i) })
	loop("AVX2 and FMA", "peakF32AVX2", w256, func(i int) string { return fmt.Sprintf("VFMADD231PS Y14, Y15, Y%d", i) })
	loop("AVX512F and AVX512_VNNI", "peakI8AVX512VNNI", w512, func(i int) string { return fmt.Sprintf("VPDPBUSD Z30, Z31, Z%d", i) })
	for _, w := range []width{w512, w256} {
		loop(w.requires, "peakI8"+w.name, w, func(i int) string {
			t := w.r(w.peakOperand(i % 2))
			return fmt.Sprintf("VPMADDWD %s, %s, %s\n\tVPADDD %s, %s, %s", w.r(w.peakOperand(2)), w.r(w.peakOperand(3)), t, t,
				w.r(i), w.r(i))
		})
	}
	loop("AVX512F and AVX512_BF16", "peakBF16AVX512BF16", w512, func(i int) string { return vdpbf16ps(30, 31, i) })
	return f
}

// peakOperand returns one of four registers after the sums, of which there are 12 or 24.
func (w width) peakOperand(i int) int { return 2*w.n - 4 + i }
