package kernel

import (
	"math"

	"barka/internal/cpu"
)

// This file has products of 8-bit integers. Each row of weights and each row of
// activations is integers in ±127 times a scale of its own. Sums are int32 and
// exact, so that every level gives the same bits.

// MaxQuantized is the largest k of a product of integers: up to it no sum overflows.
const MaxQuantized = 1 << 16

// Quads returns the number of groups of four of k inputs.
func Quads(k int) int { return (k + 3) / 4 }

// PackedI8 returns the length of W [n,k] packed as 8-bit integers: panels
// [⌈k/4⌉][32][4]. A 32-bit lane holds four neighbouring k of one output.
func PackedI8(n, k int) int { return Panels(n) * Quads(k) * PanelN * 4 }

// PackedRowsI8 returns the length that PackRowsI8 needs.
func PackedRowsI8(m, k int) int { return m * Quads(k) * quadWords() }

// quadWords is the number of 32-bit words of four packed activations: bytes
// for VPDPBUSD, 16-bit integers elsewhere.
func quadWords() int {
	if cpu.Current() >= cpu.AVX512VNNI {
		return 1
	}
	return 2
}

// quantum is the number of values that are rounded at a time: a multiple of the
// assembly's blocks, and of four.
const quantum = 256

// ScratchI8 returns the length of the scratch that PackPanelI8 needs.
func ScratchI8(k int) int { return k + 16*Quads(k) }

// PackPanelI8 packs panel p of W [n,k] as integers, with the scale and the sum of
// each output. src writes row i of W to row. scratch has ScratchI8(k) values.
func PackPanelI8(dst []int8, scales []float32, sums []int32, p, n, k int, src func(i int, row []float32), scratch []float32) {
	quads := Quads(k)
	if len(dst) < quads*PanelN*4 || len(scales) < PanelN || len(sums) < PanelN || len(scratch) < ScratchI8(k) {
		panic("kernel: the panel or the scratch is too short")
	}
	if k > MaxQuantized {
		panic("kernel: the rows are too long for sums of 32 bits")
	}
	row, words := scratch[:k], view32(scratch[k:ScratchI8(k)])
	out, rows := view32(dst[:quads*PanelN*4]), min(PanelN, n-p*PanelN)
	if rows < PanelN {
		clear(out)
		clear(scales[:PanelN])
		clear(sums[:PanelN])
	}
	for half := 0; half < rows; half += 16 {
		count := min(16, rows-half)
		for r := range count {
			src(p*PanelN+half+r, row)
			scales[half+r], sums[half+r] = quantizeBytes(words[r*quads:(r+1)*quads], row)
		}
		at := evenly(0, quads, count)
		transposeRows(out[half:], PanelN, words, &at, count, quads)
	}
}

// quantizeBytes writes a row's integers, four per word. It returns the row's scale
// and the sum of the integers.
func quantizeBytes(dst []uint32, row []float32) (scale float32, sum int32) {
	scale, inv := quantumOf(row)
	var quads [quantum / 4]uint64
	for at := 0; at < len(row); at += quantum {
		for i, q := range quantizeQuads(&quads, row[at:min(at+quantum, len(row))], inv) {
			dst[at/4+i] = bytesOf(q)
			sum += int32(int16(q)) + int32(int16(q>>16)) + int32(int16(q>>32)) + int32(int64(q)>>48)
		}
	}
	return scale, sum
}

// quantizeQuads rounds up to quantum values times inv to 16-bit integers and returns
// them in groups of four. It fills the last group with zeros. If inv is 0 all are
// zero, even for values that are not finite.
func quantizeQuads(quads *[quantum / 4]uint64, x []float32, inv float32) []uint64 {
	n := Quads(len(x))
	q := view16(quads[:n])
	clear(q[4*n-4:])
	if inv == 0 {
		clear(q)
		return quads[:n]
	}
	quantizeRow(q, x, inv)
	return quads[:n]
}

// bytesOf keeps the low byte of each of four 16-bit integers.
func bytesOf(q uint64) uint32 {
	return uint32(q&0xff | q>>8&0xff00 | q>>16&0xff0000 | q>>24&0xff000000)
}

// quantumOf returns the scale of a row, which is its largest magnitude over 127, and
// the inverse, by which values are multiplied to become integers. inv is 0 if all
// integers are 0. The scale of a row with an infinity or NaN is NaN, and with it the
// row's products.
func quantumOf(row []float32) (scale, inv float32) {
	top := math.Float32frombits(absMaxBits(row))
	scale, inv = top/127, 127/top
	if !(inv > 0 && inv <= math.MaxFloat32) { // zero, too small, or not finite
		return top * 0, 0
	}
	return scale, inv
}

// PackRowsI8 quantises rows x [m,k], ldx values apart, for products with integer
// panels: each block of nextTile rows as [⌈k/4⌉][rows][4], and a scale for each row.
// dst needs PackedRowsI8(m, k) values; its type says nothing about its contents.
func PackRowsI8(dst, scales, x []float32, ldx, m, k int) {
	if len(dst) < PackedRowsI8(m, k) || len(scales) < m || m > 0 && len(x) < (m-1)*ldx+k {
		panic("kernel: the packed rows or their source are too short")
	}
	words, each := view32(dst), Quads(k)*quadWords()
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		block := words[i*each : (i+rows)*each]
		for r := range rows {
			scales[i+r] = packQuads(block, r, rows, x[(i+r)*ldx:(i+r)*ldx+k])
		}
	}
}

// packQuads writes the quads of row r of a block and returns the row's scale.
func packQuads(block []uint32, r, rows int, row []float32) float32 {
	scale, inv := quantumOf(row)
	wide := quadWords() == 2
	var quads [quantum / 4]uint64
	for at := 0; at < len(row); at += quantum {
		for i, q := range quantizeQuads(&quads, row[at:min(at+quantum, len(row))], inv) {
			to := (at/4+i)*rows + r
			if wide {
				block[2*to], block[2*to+1] = uint32(q), uint32(q>>32)
			} else {
				block[to] = bytesOf(q) ^ 0x80808080 // plus 128, unsigned
			}
		}
	}
	return scale
}

// quantizeRow rounds values times inv to integers, ties to even.
func quantizeRow(dst []int16, x []float32, inv float32) {
	for i := quantizeBlocks(dst, x, inv); i < len(x); i++ {
		dst[i] = int16(math.RoundToEven(float64(x[i] * inv)))
	}
}

// absMaxBits returns the bits of the largest magnitude in x. Those of a NaN are
// larger than those of any number.
func absMaxBits(x []float32) uint32 {
	done, top := absMaxBlocks(x)
	for _, v := range x[done:] {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	return top
}

// PanelI8 multiplies packed rows A [m,k] with one panel: c [m, cols] = A·panelᵀ, or
// c += A·panelᵀ with accumulate. Rows of c are ldc values apart; cols is at most 32.
func PanelI8(c []float32, ldc int, a, rowScales []float32, m, k int, panel []int8, scales []float32, sums []int32,
	cols int, accumulate bool) {
	quads, words := Quads(k), quadWords()
	if len(a) < PackedRowsI8(m, k) || len(rowScales) < m || len(panel) < quads*PanelN*4 || len(scales) < PanelN || len(sums) < PanelN {
		panic("kernel: the packed operands are too short")
	}
	checkTile(c, ldc, m, cols)
	if k == 0 {
		zeroTile(c, ldc, m, cols, accumulate)
		return
	}
	if cols < PanelN {
		var t tileBuffer
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			t.load(c[i*ldc:], ldc, rows, cols, accumulate)
			tileI8(t[:], PanelN, a[i*quads*words:], rowScales[i:], panel, scales, sums, rows, quads, true)
			t.store(c[i*ldc:], ldc, rows, cols)
		}
		return
	}
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		tileI8(c[i*ldc:], ldc, a[i*quads*words:], rowScales[i:], panel, scales, sums, rows, quads, accumulate)
	}
}

// TransposePanelI8 is TransposePanelBF16 for integers, which bfloat16 holds exactly;
// the panel is [⌈(n1-n0)/2⌉][32][2]. The other operand of dx = dy·W must be
// multiplied by the outputs' scales. n0 is a multiple of 32, and k0 of 4.
func TransposePanelI8(dst []uint16, w []int8, n, k, n0, n1, k0 int) {
	quads := Quads(k)
	cols := min(PanelN, k-k0)
	out := view32(dst)[:Pairs(n1-n0)*PanelN]
	if cols < PanelN || (n1-n0)%2 == 1 {
		clear(out)
	}
	for p := n0 / PanelN; p*PanelN < n1; p++ {
		rows := min(PanelN, n1-p*PanelN)
		for q := range (cols + 3) / 4 {
			line := w[(p*quads+k0/4+q)*PanelN*4:][:PanelN*4]
			wide := min(4, cols-4*q)
			for j := 0; j < rows; j += 2 {
				to := out[((p*PanelN-n0+j)/2)*PanelN+4*q:]
				for x := range wide {
					lo, hi := small[uint8(line[4*j+x])], uint32(0)
					if j+1 < rows {
						hi = small[uint8(line[4*j+4+x])]
					}
					to[x] = lo | hi<<16
				}
			}
		}
	}
}

// small holds the bfloat16 bits of every 8-bit integer.
var small = func() (t [256]uint32) {
	for i := range t {
		t[i] = math.Float32bits(float32(int8(i))) >> 16
	}
	return t
}()

// ScaleColumns sets dst[i] = x[i]·scales[i].
func ScaleColumns(dst, x, scales []float32) {
	for i, s := range scales[:len(x)] {
		dst[i] = x[i] * s
	}
}
