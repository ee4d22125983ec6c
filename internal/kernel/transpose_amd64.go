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

// transposeBlocks turns whole blocks of 16 columns and returns how many
// columns it did: a multiple of 16. at are the rows' offsets in words; only
// the first n are stored.
func transposeBlocks(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	turns := cols / 16
	if turns == 0 || cpu.Current() < cpu.AVX512 {
		return 0
	}
	bytes := byteOffsets(at)
	if n == 16 {
		transposeBlocksAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, turns)
	} else {
		transposeBlocksMaskedAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, turns, 1<<n-1)
	}
	return 16 * turns
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
	if cpu.Current() < cpu.AVX512 {
		return false
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
