package kernel

import (
	"unsafe"

	"barka/internal/cpu"
)

// tileI8 computes a tile of rows×32 at the level in use. The operands have been
// checked. sums is scratch.
func tileI8(c []float32, ldc int, a []float32, panel []byte, rows, quads int, load bool, sums *tileBuffer,
	next nextBlock) {
	ahead, step := next.prefetch()
	// A level that computes fewer columns at a time calls with each run of them.
	at := func(j int) (*uint16, *byte) { return (*uint16)(unsafe.Pointer(&panel[2*j])), &panel[scaleBytes+4*j] }
	switch level := cpu.Current(); {
	case level >= cpu.AVX512VNNI:
		scales, b := at(0)
		tileI8AVX512VNNI(&c[0], uintptr(4*ldc), &a[0], scales, b, rows, quads, flag(load), &sums[0], ahead, step)
	case level >= cpu.AVX512:
		for j := 0; j < PanelN; j += 16 {
			scales, b := at(j)
			tileI8AVX512(&c[j], uintptr(4*ldc), &a[0], scales, b, rows, quads, flag(load), &sums[0], ahead, step)
		}
	case level >= cpu.AVX2 && rows == 1:
		scales, b := at(0)
		rowI8AVX2(&c[0], &a[0], scales, b, quads, flag(load), &sums[0])
	case level >= cpu.AVX2:
		for j := 0; j < PanelN; j += 8 {
			scales, b := at(j)
			tileI8AVX2(&c[j], uintptr(4*ldc), &a[0], scales, b, rows, quads, flag(load), &sums[0], ahead, step)
		}
	default:
		tileI8Generic(c, ldc, a, panel, rows, quads, load)
	}
}

// packBlocks quantises the whole blocks of row r of a tile. It writes scales and
// corrections to the tile, and the integers, four per word, to words. It returns the
// number of values it packed: none where rows hold 16-bit integers.
func packBlocks(tile, words []uint32, r, rows int, row []float32) int {
	blocks := len(row) / blockI8
	if blocks == 0 || cpu.Current() < cpu.AVX512VNNI {
		return 0
	}
	_ = words[blocks*blockQuads-1]
	quantizeBytesAVX512(&words[0], &row[0], blocks, &tile[r], uintptr(4*rows), uintptr(4*rows*(2+blockQuads)))
	return blocks * blockI8
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

// pairsOfI8 sets lines [16][32] to the pairs of the eight quads from q on, which share
// their scales, and reports whether the level has assembly.
func pairsOfI8(lines *[16 * PanelN]uint32, panel []byte, q int) bool {
	at := lineOf(q)
	b, scales := &panel[at : at+8*PanelN*4][0], (*uint16)(unsafe.Pointer(&panel[lineOf(q&^(blockQuads-1))-scaleBytes]))
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		pairsOfI8AVX512(&lines[0], b, scales)
	case level >= cpu.AVX2:
		pairsOfI8AVX2(&lines[0], b, scales)
	default:
		return false
	}
	return true
}
