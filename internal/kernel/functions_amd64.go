package kernel

import "barka/internal/cpu"

func expBlocks(dst, x []float32) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		expAVX512(&dst[0], &x[0], len(x)/16)
	case level >= cpu.AVX2:
		expAVX2(&dst[0], &x[0], len(x)/16)
	default:
		expGeneric(dst, x)
	}
}

func tanhBlocks(dst, x []float32) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		tanhAVX512(&dst[0], &x[0], len(x)/16)
	case level >= cpu.AVX2:
		tanhAVX2(&dst[0], &x[0], len(x)/16)
	default:
		tanhGeneric(dst, x)
	}
}
