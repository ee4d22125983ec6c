package kernel

import "barka/internal/cpu"

func peakF32AVX512(turns int)
func peakF32AVX2(turns int)
func peakBF16Dot(turns int)

func peak(turns int, bf16 bool) float64 {
	switch l := cpu.Current(); {
	case bf16 && l == cpu.AVX512BF16:
		peakBF16Dot(turns)
		return float64(turns) * 12 * 64
	case l >= cpu.AVX512:
		peakF32AVX512(turns)
		return float64(turns) * 12 * 32
	case l == cpu.AVX2:
		peakF32AVX2(turns)
		return float64(turns) * 12 * 16
	}
	return peakGeneric(turns)
}
