package kernel

import "barka/internal/cpu"

// hadamardBlocks takes the steps within blocks of 16 values and returns the distance
// of the next step: 1 if it did nothing.
func hadamardBlocks(x []float32) int {
	if len(x) < 16 {
		return 1
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		hadamard16AVX512(&x[0], len(x)/16)
	case level >= cpu.AVX2:
		hadamard16AVX2(&x[0], len(x)/16)
	default:
		return 1
	}
	return 16
}

// butterflyBlocks takes a step between values h apart and reports whether it did.
func butterflyBlocks(x []float32, h int) bool {
	if h < 16 {
		return false
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		butterfliesAVX512(&x[0], h/16, len(x)/(2*h))
	case level >= cpu.AVX2:
		butterfliesAVX2(&x[0], h/16, len(x)/(2*h))
	default:
		return false
	}
	return true
}
