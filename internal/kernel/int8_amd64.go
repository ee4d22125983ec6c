package kernel

import "barka/internal/cpu"

// tileI8 computes a tile of rows×32 at the level in use. The operands have been
// checked.
func tileI8(c []float32, ldc int, a, rowScales []float32, b []int8, scales []float32, sums []int32, rows, quads int, load bool) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512VNNI:
		tileI8AVX512VNNI(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, quads, &rowScales[0], &scales[0], &sums[0], flag(load))
	case level >= cpu.AVX512:
		for j := 0; j < PanelN; j += 16 {
			tileI8AVX512(&c[j], uintptr(4*ldc), &a[0], &b[4*j], rows, quads, &rowScales[0], &scales[j], &sums[0], flag(load))
		}
	case level >= cpu.AVX2 && rows == 1:
		rowI8AVX2(&c[0], &a[0], &b[0], quads, rowScales[0], &scales[0], flag(load))
	case level >= cpu.AVX2:
		for j := 0; j < PanelN; j += 8 {
			tileI8AVX2(&c[j], uintptr(4*ldc), &a[0], &b[4*j], rows, quads, &rowScales[0], &scales[j], &sums[0], flag(load))
		}
	default:
		tileI8Generic(c, ldc, a, rowScales, b, scales, rows, quads, load)
	}
}

// quantizeBlocks rounds whole blocks of 16 values and returns the number of
// values it rounded.
func quantizeBlocks(dst []int16, x []float32, inv float32) int {
	blocks := len(x) / 16
	if blocks == 0 {
		return 0
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		quantizeAVX512(&dst[:16*blocks][0], &x[0], blocks, inv)
	case level >= cpu.AVX2:
		quantizeAVX2(&dst[:16*blocks][0], &x[0], blocks, inv)
	default:
		return 0
	}
	return 16 * blocks
}

// absMaxBlocks returns the largest magnitude of whole blocks of 16 values, and
// the number of values in them.
func absMaxBlocks(x []float32) (done int, top uint32) {
	blocks := len(x) / 16
	if blocks == 0 {
		return 0, 0
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return 16 * blocks, absMaxAVX512(&x[0], blocks)
	case level >= cpu.AVX2:
		return 16 * blocks, absMaxAVX2(&x[0], blocks)
	}
	return 0, 0
}

// carryBlocks returns the carries of whole blocks of 16 words, and the number of
// words in them.
func carryBlocks(x []float32, exponent, one uint32) (done int, carry uint32) {
	blocks := len(x) / 16
	if blocks == 0 {
		return 0, 0
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return 16 * blocks, carriesAVX512(&x[0], blocks, exponent, one)
	case level >= cpu.AVX2:
		return 16 * blocks, carriesAVX2(&x[0], blocks, exponent, one)
	}
	return 0, 0
}
