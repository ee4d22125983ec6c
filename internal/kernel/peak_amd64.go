package kernel

import (
	"barka/internal/cpu"
	"barka/internal/dtype"
)

func peak(iterations int, dt dtype.DType) float64 {
	var loop func(int)
	var each int // multiplications per instruction
	level := cpu.Current()
	switch {
	case dt == dtype.I8 && level >= cpu.AVX512VNNI:
		loop, each = peakI8AVX512VNNI, 64
	case dt == dtype.I8 && level >= cpu.AVX512:
		loop, each = peakI8AVX512, 32
	case dt == dtype.I8 && level >= cpu.AVX2:
		loop, each = peakI8AVX2, 16
	case dt == dtype.BF16 && level >= cpu.AVX512BF16:
		loop, each = peakBF16AVX512BF16, 32
	case level >= cpu.AVX512:
		loop, each = peakF32AVX512, 16
	case level >= cpu.AVX2:
		loop, each = peakF32AVX2, 8
	default:
		return peakGeneric(iterations)
	}
	sums := 24
	if level < cpu.AVX512 {
		sums = 12
	}
	loop(iterations)
	return float64(iterations) * 2 * float64(sums*each)
}
