package kernel

import "barka/internal/cpu"

// dotBlocks takes an a whose length is a multiple of 16 and at most len(b).
func dotBlocks(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return dotAVX512(&a[0], &b[0], len(a)/16)
	case level >= cpu.AVX2:
		return dotAVX2(&a[0], &b[0], len(a)/16)
	}
	return dotGeneric(a, b)
}

func axpyBlocks(alpha float32, x, y []float32) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		axpyAVX512(alpha, &x[0], &y[0], len(x)/16)
	case level >= cpu.AVX2:
		axpyAVX2(alpha, &x[0], &y[0], len(x)/16)
	default:
		axpyGeneric(alpha, x, y)
	}
}

func sumSquaresBlocks(x []float32) float64 {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return sumSquaresAVX512(&x[0], len(x)/16)
	case level >= cpu.AVX2:
		return sumSquaresAVX2(&x[0], len(x)/16)
	}
	return sumSquaresGeneric(x)
}
