package main

import "fmt"

// peaks writes loops that do nothing but multiply and add in registers: the
// ceilings that benchmarks are measured against.
func peaks() *file {
	f := newFile("peak_amd64.s")
	loop := func(doc, name string, w width, ins func(i int) string) {
		f.text(doc, name, 8)
		f.op("MOVQ turns+0(FP), CX")
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
	loop("Requires: AVX512F", "peakF32AVX512", w512, func(i int) string { return fmt.Sprintf("VFMADD231PS Z14, Z15, Z%d", i) })
	loop("Requires: AVX2, FMA", "peakF32AVX2", w256, func(i int) string { return fmt.Sprintf("VFMADD231PS Y14, Y15, Y%d", i) })
	loop("Requires: AVX512F, AVX512_VNNI", "peakI8VNNI", w512, func(i int) string { return fmt.Sprintf("VPDPBUSD Z14, Z15, Z%d", i) })
	for _, w := range []width{w512, w256} {
		loop("Requires: "+w.name, "peakI8"+w.name, w, func(i int) string {
			t := w.r(12 + i%2)
			return fmt.Sprintf("VPMADDWD %s, %s, %s\n\tVPADDD %s, %s, %s", w.r(14), w.r(15), t, t, w.r(i), w.r(i))
		})
	}
	loop("Requires: AVX512F, AVX512_BF16", "peakBF16Dot", w512, func(i int) string { return vdpbf16ps(14, 15, i) })
	return f
}
