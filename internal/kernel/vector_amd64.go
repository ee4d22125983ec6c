package kernel

import "barka/internal/cpu"

//go:noescape
func dotAVX512(a, b *float32, blocks int) float32

//go:noescape
func dotAVX2(a, b *float32, blocks int) float32

//go:noescape
func axpyAVX512(alpha float32, x, y *float32, blocks int)

//go:noescape
func axpyAVX2(alpha float32, x, y *float32, blocks int)

//go:noescape
func sumSquaresAVX512(x *float32, blocks int) float64

//go:noescape
func sumSquaresAVX2(x *float32, blocks int) float64

// dotBlocks: len(a) is a multiple of 16 and at most len(b).
func dotBlocks(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	switch {
	case cpu.Current() >= cpu.AVX512:
		return dotAVX512(&a[0], &b[0], len(a)/16)
	case cpu.Current() == cpu.AVX2:
		return dotAVX2(&a[0], &b[0], len(a)/16)
	}
	return dotGeneric(a, b)
}

func axpyBlocks(alpha float32, x, y []float32) {
	switch {
	case cpu.Current() >= cpu.AVX512:
		axpyAVX512(alpha, &x[0], &y[0], len(x)/16)
	case cpu.Current() == cpu.AVX2:
		axpyAVX2(alpha, &x[0], &y[0], len(x)/16)
	default:
		axpyGeneric(alpha, x, y)
	}
}

func sumSquaresBlocks(x []float32) float64 {
	switch {
	case cpu.Current() >= cpu.AVX512:
		return sumSquaresAVX512(&x[0], len(x)/16)
	case cpu.Current() == cpu.AVX2:
		return sumSquaresAVX2(&x[0], len(x)/16)
	}
	return sumSquaresGeneric(x)
}
