package kernel

import "barka/internal/cpu"

// The stubs work on blocks of 16 values.

//go:noescape
func expAVX512(dst, src *float32, blocks int)

//go:noescape
func expAVX2(dst, src *float32, blocks int)

//go:noescape
func tanhAVX512(dst, src *float32, blocks int)

//go:noescape
func tanhAVX2(dst, src *float32, blocks int)

func expBlocks(dst, x []float32) {
	switch {
	case cpu.Current() >= cpu.AVX512:
		expAVX512(&dst[0], &x[0], len(x)/16)
	case cpu.Current() == cpu.AVX2:
		expAVX2(&dst[0], &x[0], len(x)/16)
	default:
		expGeneric(dst, x)
	}
}

func tanhBlocks(dst, x []float32) {
	switch {
	case cpu.Current() >= cpu.AVX512:
		tanhAVX512(&dst[0], &x[0], len(x)/16)
	case cpu.Current() == cpu.AVX2:
		tanhAVX2(&dst[0], &x[0], len(x)/16)
	default:
		tanhGeneric(dst, x)
	}
}
