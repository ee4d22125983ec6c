package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

// transposeBlocks transposes whole blocks of columns and returns the number of
// columns. at holds the rows' offsets in words; only the first n rows are stored.
func transposeBlocks(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return transposeSixteens(dst, stride, src, at, n, cols)
	case level >= cpu.AVX2:
		return transposeEights(dst, stride, src, at, n, cols)
	}
	return 0
}

// transposeSixteens is transposeBlocks in blocks of 16 rows and columns.
func transposeSixteens(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	blocks := cols / 16
	if blocks == 0 {
		return 0
	}
	bytes := byteOffsets(at)
	if n == 16 {
		transposeBlocksAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, blocks)
	} else {
		transposeBlocksMaskedAVX512(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, blocks, 1<<n-1)
	}
	return 16 * blocks
}

// transposeEights is transposeBlocks in blocks of 8 rows and columns. Fewer than 8
// rows are stored as 8 if the lines of dst touch: the surplus words fall into
// lines that are written later. The last lines are then left to the caller.
func transposeEights(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) int {
	blocks := cols / 8
	switch {
	case n == 8 || n == 16:
	case n < 8 && stride == n:
		blocks = max(0, cols-(8-n+n-1)/n) / 8
	default:
		return 0
	}
	if blocks == 0 {
		return 0
	}
	bytes := byteOffsets(at)
	for r := 0; r < n; r += 8 {
		transposeBlocksAVX2(unsafe.Pointer(&dst[r]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes[r], blocks)
	}
	return 8 * blocks
}

// roundBlocks rounds whole blocks of 16 values and returns the number of values.
func roundBlocks(x []float32) int {
	blocks := len(x) / 16
	if blocks == 0 {
		return 0
	}
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		roundBF16AVX512(unsafe.Pointer(&x[0]), blocks)
	case level >= cpu.AVX2:
		roundBF16AVX2(unsafe.Pointer(&x[0]), blocks)
	default:
		return 0
	}
	return 16 * blocks
}

// transposePairRows is transposeBlocks of float32 rows, which it rounds to pairs of
// bfloat16. It returns the number of values of a row that it transposed.
func transposePairRows(dst []uint32, stride int, src []float32, at *[16]int, n, k int) int {
	blocks := k / 32
	if blocks == 0 || cpu.Current() < cpu.AVX512BF16 {
		return 0
	}
	bytes := byteOffsets(at)
	transposePairRowsAVX512BF16(unsafe.Pointer(&dst[0]), uintptr(4*stride), unsafe.Pointer(&src[0]), &bytes, blocks, 1<<n-1)
	return 32 * blocks
}

// transposePairPanel transposes one block of 16 lines for TransposePanelBF16. It
// reports whether the level in use has a kernel for it.
func transposePairPanel(dst, src []uint32) bool {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		transposePairPanelAVX512(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]))
		return true
	case level >= cpu.AVX2:
		for j := range 2 {
			for x := range 2 {
				transposePairPanelAVX2(unsafe.Pointer(&dst[4*j*PanelN+16*x]), unsafe.Pointer(&src[8*x*PanelN+8*j]))
			}
		}
		return true
	}
	return false
}

// gatherRows is GatherPanel for whole lines. It reports whether the level in use has a
// kernel for it. The rows have been checked.
func gatherRows(dst, v []float32, rows []int32, ld, off int) bool {
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&v[off])
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		gatherAVX512(to, from, &rows[0], uintptr(4*ld), len(rows))
	case level >= cpu.AVX2:
		gatherAVX2(to, from, &rows[0], uintptr(4*ld), len(rows))
	default:
		return false
	}
	return true
}

// byteOffsets turns offsets in words into offsets in bytes.
func byteOffsets(at *[16]int) (bytes [16]uintptr) {
	for r, o := range at {
		bytes[r] = uintptr(4 * o)
	}
	return bytes
}
