package main

import "fmt"

// peaks writes loops that only multiply and add in registers. Benchmarks report
// their share of this ceiling.
func peaks() *file {
	f := newFile("peak")
	loop := func(requires, name string, w width, ins func(i int) string) {
		f.text(routine{
			name: name, params: "iterations int", does: "runs iterations of twelve independent multiply-adds",
			twin: "peakGeneric", requires: requires,
		})
		f.op("MOVQ iterations+0(FP), CX")
		for i := range 16 {
			w.clear(f, i)
		}
		f.label("loop")
		for i := range 12 {
			f.op("%s", ins(i))
		}
		f.op("DECQ CX")
		f.op("JNZ loop")
		f.end()
	}
	loop("AVX512F", "peakF32AVX512", w512, func(i int) string { return fmt.Sprintf("VFMADD231PS Z14, Z15, Z%d", i) })
	loop("AVX2 and FMA", "peakF32AVX2", w256, func(i int) string { return fmt.Sprintf("VFMADD231PS Y14, Y15, Y%d", i) })
	loop("AVX512F and AVX512_VNNI", "peakI8AVX512VNNI", w512, func(i int) string { return fmt.Sprintf("VPDPBUSD Z14, Z15, Z%d", i) })
	for _, w := range []width{w512, w256} {
		loop(w.requires, "peakI8"+w.name, w, func(i int) string {
			t := w.r(12 + i%2)
			return fmt.Sprintf("VPMADDWD %s, %s, %s\n\tVPADDD %s, %s, %s", w.r(14), w.r(15), t, t, w.r(i), w.r(i))
		})
	}
	loop("AVX512F and AVX512_BF16", "peakBF16AVX512BF16", w512, func(i int) string { return vdpbf16ps(14, 15, i) })
	return f
}
