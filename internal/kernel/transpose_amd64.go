package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

//go:noescape
func transposeBlocksAVX512(dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *[16]uintptr, turns int)

//go:noescape
func transposeBlocksMaskedAVX512(dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *[16]uintptr, turns int, mask uintptr)

//go:noescape
func transposePairRowsAVX512(dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *[16]uintptr, turns int, mask uintptr)

//go:noescape
func transposePairPanelAVX512(dst, src unsafe.Pointer)

//go:noescape
func transposeBlocksAVX2(dst unsafe.Pointer, stride uintptr, src unsafe.Pointer, offsets *uintptr, turns int)

//go:noescape
func transposePairPanelAVX2(dst, src unsafe.Pointer)

//go:noescape
func roundBF16AVX512(x unsafe.Pointer, blocks int)

//go:noescape
func roundBF16AVX2(x unsafe.Pointer, blocks int)

// transposeBlocks turns whole blocks of columns and returns how many columns
// it did. at are the rows' offsets in words; only the first n are stored.
func transposeBlocks(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	switch {
	case cpu.Current() == cpu.AVX2:
		return transposeEights(dst, stride, src, at, n, cols)
	case cpu.Current() < cpu.AVX512 || cols < 16:
		return 0
	}
	turns := cols / 16
	bytes := byteOffsets(at)
	if n == 16 {
		transposeBlocksAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, turns)
	} else {
		transposeBlocksMaskedAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, turns, 1<<n-1)
	}
	return 16 * turns
}

// transposeEights is transposeBlocks in blocks of 8 rows and columns. Fewer
// rows than 8 are stored as 8 where what comes too much falls into lines that
// are written later: the lines touch, and some are left for the caller.
func transposeEights(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	turns := cols / 8
	switch {
	case n == 8 || n == 16:
	case n < 8 && stride == n:
		turns = max(0, cols-(8-n+n-1)/n) / 8
	default:
		return 0
	}
	if turns == 0 {
		return 0
	}
	bytes := byteOffsets(at)
	for r := 0; r < n; r += 8 {
		transposeBlocksAVX2(unsafe.Pointer(&dst[r]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes[r], turns)
	}
	return 8 * turns
}

// roundBlocks rounds whole blocks of 16 values and returns how many it did.
func roundBlocks(x []float32) int {
	blocks := len(x) / 16
	switch {
	case blocks == 0 || cpu.Current() < cpu.AVX2:
		return 0
	case cpu.Current() == cpu.AVX2:
		roundBF16AVX2(unsafe.Pointer(&x[0]), blocks)
	default:
		roundBF16AVX512(unsafe.Pointer(&x[0]), blocks)
	}
	return 16 * blocks
}

// transposePairRows is transposeBlocks of rows that are rounded to pairs of
// bfloat16 on the way; it returns how many values of a row it did.
func transposePairRows(dst []uint32, stride int, src []float32, at *[16]int, n, k int) int {
	turns := k / 32
	if turns == 0 || cpu.Current() != cpu.AVX512BF16 {
		return 0
	}
	bytes := byteOffsets(at)
	transposePairRowsAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, turns, 1<<n-1)
	return 32 * turns
}

// transposePairPanel does one block of 16 lines; see TransposePanelBF16.
func transposePairPanel(dst, src []uint32) bool {
	switch {
	case cpu.Current() < cpu.AVX2:
		return false
	case cpu.Current() == cpu.AVX2:
		for j := range 2 {
			for x := range 2 {
				transposePairPanelAVX2(unsafe.Pointer(&dst[4*j*PanelN+16*x]), unsafe.Pointer(&src[8*x*PanelN+8*j]))
			}
		}
		return true
	}
	transposePairPanelAVX512(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]))
	return true
}

func byteOffsets(at *[16]int) (bytes [16]uintptr) {
	for r, o := range at {
		bytes[r] = uintptr(4 * o)
	}
	return bytes
}
