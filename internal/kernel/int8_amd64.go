package kernel

import "barka/internal/cpu"

// Each tile computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j]·scales[j]·rowScales[r]
// for its number of rows and 32 columns (AVX-512 without VNNI: 16, AVX2: 8);
// ldc is in bytes, load says whether c is added to.

//go:noescape
func tileI8VNNI(c *float32, ldc uintptr, a *float32, b *int8, rows, quads int, rowScales, scales *float32, sums *int32, load uintptr)

//go:noescape
func tileI8AVX512(c *float32, ldc uintptr, a *float32, b *int8, rows, quads int, rowScales, scales *float32, sums *int32, load uintptr)

//go:noescape
func tileI8AVX2(c *float32, ldc uintptr, a *float32, b *int8, rows, quads int, rowScales, scales *float32, sums *int32, load uintptr)

//go:noescape
func rowI8AVX2(c, a *float32, b *int8, quads int, rowScale float32, scales *float32, load uintptr)

//go:noescape
func absMaxAVX512(x *float32, blocks int) uint32

//go:noescape
func absMaxAVX2(x *float32, blocks int) uint32

//go:noescape
func carriesAVX512(x *float32, blocks int, exponent, one uint32) uint32

//go:noescape
func carriesAVX2(x *float32, blocks int, exponent, one uint32) uint32

//go:noescape
func quantizeAVX512(dst *int16, x *float32, blocks int, inv float32)

//go:noescape
func quantizeAVX2(dst *int16, x *float32, blocks int, inv float32)

// tileI8 dispatches a tile of rows×32; the operands have been checked.
func tileI8(c []float32, ldc int, a, rowScales []float32, b []int8, scales []float32, sums []int32, rows, quads int, load bool) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512VNNI:
		tileI8VNNI(&c[0], uintptr(4*ldc), &a[0], &b[0], rows, quads, &rowScales[0], &scales[0], &sums[0], flag(load))
	case level == cpu.AVX512:
		for j := 0; j < PanelN; j += 16 {
			tileI8AVX512(&c[j], uintptr(4*ldc), &a[0], &b[4*j], rows, quads, &rowScales[0], &scales[j], &sums[0], flag(load))
		}
	case level == cpu.AVX2 && rows == 1:
		rowI8AVX2(&c[0], &a[0], &b[0], quads, rowScales[0], &scales[0], flag(load))
	case level == cpu.AVX2:
		for j := 0; j < PanelN; j += 8 {
			tileI8AVX2(&c[j], uintptr(4*ldc), &a[0], &b[4*j], rows, quads, &rowScales[0], &scales[j], &sums[0], flag(load))
		}
	default:
		tileI8Generic(c, ldc, a, rowScales, b, scales, rows, quads, load)
	}
}

// quantizeBlocks rounds whole blocks of 16 values and returns how many it did.
func quantizeBlocks(dst []int16, x []float32, inv float32) int {
	blocks := len(x) / 16
	switch {
	case blocks == 0 || cpu.Current() < cpu.AVX2:
		return 0
	case cpu.Current() == cpu.AVX2:
		quantizeAVX2(&dst[:16*blocks][0], &x[0], blocks, inv)
	default:
		quantizeAVX512(&dst[:16*blocks][0], &x[0], blocks, inv)
	}
	return 16 * blocks
}

// absMaxBlocks looks at whole blocks of 16 values.
func absMaxBlocks(x []float32) (done int, top uint32) {
	blocks := len(x) / 16
	switch {
	case blocks == 0 || cpu.Current() < cpu.AVX2:
		return 0, 0
	case cpu.Current() == cpu.AVX2:
		return 16 * blocks, absMaxAVX2(&x[0], blocks)
	}
	return 16 * blocks, absMaxAVX512(&x[0], blocks)
}

// carryBlocks gathers the carries of whole blocks of 16 words.
func carryBlocks(x []float32, exponent, one uint32) (done int, carry uint32) {
	blocks := len(x) / 16
	switch {
	case blocks == 0 || cpu.Current() < cpu.AVX2:
		return 0, 0
	case cpu.Current() == cpu.AVX2:
		return 16 * blocks, carriesAVX2(&x[0], blocks, exponent, one)
	}
	return 16 * blocks, carriesAVX512(&x[0], blocks, exponent, one)
}
