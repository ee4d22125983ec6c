package kernel

import (
	"barka/internal/cpu"
	"barka/internal/dtype"
)

func peakF32AVX512(turns int)
func peakF32AVX2(turns int)
func peakBF16Dot(turns int)
func peakI8VNNI(turns int)
func peakI8AVX512(turns int)
func peakI8AVX2(turns int)

func peak(turns int, dt dtype.DType) float64 {
	var loop func(int)
	var each int // multiplications an instruction
	switch l := cpu.Current(); {
	case l < cpu.AVX2:
		return peakGeneric(turns)
	case dt == dtype.I8 && l >= cpu.AVX512VNNI:
		loop, each = peakI8VNNI, 64
	case dt == dtype.I8 && l == cpu.AVX512:
		loop, each = peakI8AVX512, 32
	case dt == dtype.I8:
		loop, each = peakI8AVX2, 16
	case dt == dtype.BF16 && l == cpu.AVX512BF16:
		loop, each = peakBF16Dot, 32
	case l >= cpu.AVX512:
		loop, each = peakF32AVX512, 16
	default:
		loop, each = peakF32AVX2, 8
	}
	loop(turns)
	return float64(turns) * 12 * 2 * float64(each)
}
