package kernel

import "barka/internal/cpu"

// hadamardWhole sets y to the transform of the whole blocks of x and returns their length,
// or 0 if the level has no assembly for them.
func hadamardWhole(y, x []float32) int {
	blocks := len(x) / hadamardLength
	if blocks == 0 || cpu.Current() < cpu.AVX512 {
		return 0
	}
	hadamard512AVX512(&y[0], &x[0], blocks)
	return blocks * hadamardLength
}

// hadamardBlocks sets y to x after the steps within blocks of 16 values. It returns the
// distance of the next step: 1 if it took none and y is x.
func hadamardBlocks(y, x []float32) int {
	if len(x) < 16 {
		copy(y, x)
		return 1
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		hadamard16AVX512(&y[0], &x[0], len(x)/16)
	case level >= cpu.AVX2:
		hadamard16AVX2(&y[0], &x[0], len(x)/16)
	default:
		copy(y, x)
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
