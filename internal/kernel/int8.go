package kernel

import (
	"math"

	"barka/internal/cpu"
)

// This file has products of 8-bit integers. Both operands are rotated (Hadamard). Each 64
// values of a rotated row are integers in ±127 with a common scale. The sum over such a
// block is int32 and exact; blocks are added in float32 in order. Every level therefore
// gives the same bits.

// blockI8 is the number of neighbouring k that share a scale, blockQuads their groups of
// four. Of the lengths measured, 64 is the longest whose mean divergence from float32 is
// below 0.003 nats on English with SmolLM2-135M and Gemma-3-270M (docs/performance.md).
const (
	blockI8    = 64
	blockQuads = blockI8 / 4
)

// Quads returns the number of groups of four of k inputs.
func Quads(k int) int { return (k + 3) / 4 }

// blocksI8 returns the number of blocks of k inputs.
func blocksI8(k int) int { return (k + blockI8 - 1) / blockI8 }

// scaleBytes is the length of the scales of a panel's block: a bfloat16 per output.
const scaleBytes = 2 * PanelN

// PanelBytesI8 returns the length of a packed panel: for each block the scales [32] in
// bfloat16 and the integers plus 128 as bytes [≤ 16][32][4]. A 32-bit lane holds four
// neighbouring k of one output.
func PanelBytesI8(k int) int { return blocksI8(k)*scaleBytes + Quads(k)*PanelN*4 }

// PackedI8 returns the length of W [n,k] packed as panels of 8-bit integers.
func PackedI8(n, k int) int { return Panels(n) * PanelBytesI8(k) }

// PackedRowsI8 returns the length that PackRowsI8 needs.
func PackedRowsI8(m, k int) int { return m * rowWords(k) }

// rowWords is the number of 32-bit words of a packed row: a scale and a correction per
// block, and the integers.
func rowWords(k int) int { return 2*blocksI8(k) + Quads(k)*quadWords() }

// quadWords is the number of 32-bit words of four packed activations: bytes
// for VPDPBUSD, 16-bit integers elsewhere.
func quadWords() int {
	if cpu.Current() >= cpu.AVX512VNNI {
		return 1
	}
	return 2
}

// ScratchI8 returns the length of the scratch that PackPanelI8 and PackRowsI8 need.
func ScratchI8(k int) int { return k + 16*Quads(k) }

// PackPanelI8 packs panel p of W [n,k] as integers with their scales. src writes row i
// of W to row. scratch has ScratchI8(k) values.
func PackPanelI8(dst []byte, p, n, k int, src func(i int, row []float32), scratch []float32) {
	if len(dst) < PanelBytesI8(k) || len(scratch) < ScratchI8(k) {
		panic("kernel: the panel or the scratch is too short")
	}
	quads, row, rows := Quads(k), scratch[:k], min(PanelN, n-p*PanelN)
	words := view32(scratch[k:ScratchI8(k)])
	if rows < PanelN {
		clear(dst[:PanelBytesI8(k)])
	}
	for half := 0; half < rows; half += 16 {
		count := min(16, rows-half)
		for r := range count {
			src(p*PanelN+half+r, row)
			Hadamard(row)
			quantizeOutput(dst, half+r, words[r*quads:(r+1)*quads], row)
		}
		for b := 0; b < quads; b += blockQuads {
			lines := view32(dst[lineOf(b):][:min(blockQuads, quads-b)*PanelN*4])
			at := evenly(b, quads, count)
			transposeRows(lines[half:], PanelN, words, &at, count, min(blockQuads, quads-b))
		}
	}
}

// lineOf returns where the line of quad q begins in a panel.
func lineOf(q int) int { return (q/blockQuads+1)*scaleBytes + q*PanelN*4 }

// scaleOf returns the scale of output j in the block of quad q of a panel.
func scaleOf(panel []byte, q, j int) float32 {
	at := lineOf(q&^(blockQuads-1)) - scaleBytes + 2*j
	return math.Float32frombits(uint32(panel[at])<<16 | uint32(panel[at+1])<<24)
}

// quantizeOutput writes the scales of output j to its panel, and its integers plus 128
// to words, four per word.
func quantizeOutput(panel []byte, j int, words []uint32, row []float32) {
	var quads [blockQuads]uint64
	for q := 0; q < len(words); q += blockQuads {
		block := row[4*q : min(4*q+blockI8, len(row))]
		scale, inv := weightScale(block)
		at := lineOf(q) - scaleBytes + 2*j
		panel[at], panel[at+1] = byte(scale>>16), byte(scale>>24)
		for i, v := range quantizeQuads(&quads, block, inv) {
			words[q+i] = bytesOf(v) ^ 0x80808080
		}
	}
}

// weightScale returns the bits of the scale of a block of weights, rounded up to
// bfloat16, and its inverse. inv is 0 if all integers are 0.
func weightScale(block []float32) (bits uint32, inv float32) {
	scale, inv := quantumOf(block)
	bits = (math.Float32bits(scale) + 0xffff) &^ 0xffff
	if inv != 0 {
		inv = 1 / math.Float32frombits(bits)
	}
	return bits, inv
}

// quantizeQuads rounds a block of values times inv to 16-bit integers and returns them
// in groups of four. It fills the last group with zeros. If inv is 0 all are zero, even
// for values that are not finite.
func quantizeQuads(quads *[blockQuads]uint64, x []float32, inv float32) []uint64 {
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

// quantumOf returns the scale of a block, which is its largest magnitude over 127, and
// the inverse, by which values are multiplied to become integers. inv is 0 if all
// integers are 0. The scale of a block with an infinity or NaN is NaN, and with it the
// row's products.
func quantumOf(block []float32) (scale, inv float32) {
	top := math.Float32frombits(absMaxBits(block))
	scale, inv = top/127, 127/top
	if !(inv > 0 && inv <= math.MaxFloat32) { // zero, too small, or not finite
		return top * 0, 0
	}
	return scale, inv
}

// PackRowsI8 rotates and quantises rows x [m,k], ldx values apart, for products with
// integer panels: in tiles of nextTile rows, for each block the scales [rows], the
// corrections [rows] and the integers [≤ 16][rows][4]. A correction is -128 times the
// sum of a row's integers: it takes off what the 128 in the panel's bytes adds. dst needs
// PackedRowsI8(m, k) values; its type says nothing about its contents. scratch has
// ScratchI8(k) values.
func PackRowsI8(dst, x []float32, ldx, m, k int, scratch []float32) {
	if len(dst) < PackedRowsI8(m, k) || m > 0 && len(x) < (m-1)*ldx+k || len(scratch) < ScratchI8(k) {
		panic("kernel: the packed rows, their source or the scratch are too short")
	}
	words, each, row, bytes := view32(dst), rowWords(k), scratch[:k], view32(scratch[k:ScratchI8(k)])
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		tile := words[i*each : (i+rows)*each]
		done := 0 // values per row that are packed as whole blocks
		for r := range rows {
			hadamardTo(row, x[(i+r)*ldx:(i+r)*ldx+k])
			done = packBlocks(tile, bytes[r*Quads(k):], r, rows, row)
			packQuads(tile[done/blockI8*rows*(2+blockQuads):], r, rows, row[done:])
		}
		for at := 0; at < done; at += blockI8 {
			from := evenly(at/4, Quads(k), rows)
			transposeRows(tile[at/blockI8*rows*(2+blockQuads)+2*rows:], rows, bytes, &from, rows, blockQuads)
		}
	}
}

// packQuads writes row r of a tile, or what packBlocks has left of it.
func packQuads(tile []uint32, r, rows int, row []float32) {
	wide := quadWords() == 2
	var quads [blockQuads]uint64
	for at := 0; at < len(row); at += blockI8 {
		block := row[at:min(at+blockI8, len(row))]
		scale, inv := quantumOf(block)
		tile[r] = math.Float32bits(scale)
		out := tile[2*rows:]
		sum := uint64(0) // of the integers plus 128, in four lanes
		packed := quantizeQuads(&quads, block, inv)
		for i, q := range packed {
			sum += q&0x00ff00ff00ff00ff ^ 0x0080008000800080
			if to := i*rows + r; wide {
				out[2*to], out[2*to+1] = uint32(q), uint32(q>>32)
			} else {
				out[to] = bytesOf(q)
			}
		}
		total := int32(sum&0xffff+sum>>16&0xffff+sum>>32&0xffff+sum>>48) - int32(4*128*len(packed))
		tile[rows+r] = uint32(-128 * total)
		tile = out[len(packed)*rows*quadWords():]
	}
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
func PanelI8(c []float32, ldc int, a []float32, m, k int, panel []byte, cols int, accumulate bool) {
	if len(a) < PackedRowsI8(m, k) || len(panel) < PanelBytesI8(k) {
		panic("kernel: the packed operands are too short")
	}
	checkTile(c, ldc, m, cols)
	if k == 0 {
		zeroTile(c, ldc, m, cols, accumulate)
		return
	}
	quads, each := Quads(k), rowWords(k)
	var sums tileBuffer
	if cols < PanelN {
		var t tileBuffer
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			t.load(c[i*ldc:], ldc, rows, cols, accumulate)
			tileI8(t[:], PanelN, a[i*each:], panel, rows, quads, true, &sums, nextBlock{})
			t.store(c[i*ldc:], ldc, rows, cols)
		}
		return
	}
	next := nextBlock{bytes: PanelBytesI8(k), tiles: tiles(m)}
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		tileI8(c[i*ldc:], ldc, a[i*each:], panel, rows, quads, accumulate, &sums, next)
		next.tile++
	}
}

// TransposePanelI8 is TransposePanelBF16 for integers: the panel is
// [⌈(n1-n0)/2⌉][32][2], of the rotated weights rounded to bfloat16. The product dx = dy·W
// must be rotated to be that of the weights. n0 is a multiple of 32, and so is k0.
func TransposePanelI8(dst []uint16, w []byte, n, k, n0, n1, k0 int) {
	size, cols := PanelBytesI8(k), min(PanelN, k-k0)
	out := view32(dst)[:Pairs(n1-n0)*PanelN]
	if cols < PanelN || (n1-n0)%2 == 1 {
		clear(out)
	}
	var scales [PanelN]float32
	var lines [16 * PanelN]uint32
	for p := n0 / PanelN; p*PanelN < n1; p++ {
		panel, rows := w[p*size:(p+1)*size], min(PanelN, n1-p*PanelN)
		if rows == PanelN && cols == PanelN && pairsOfI8(&lines, panel, k0/4) {
			to := out[(p*PanelN-n0)/2*PanelN:]
			if transposePairPanel(to, lines[:]) && transposePairPanel(to[8*PanelN:], lines[16:]) {
				continue
			}
		}
		for j := range scales {
			scales[j] = scaleOf(panel, k0/4, j)
		}
		for q := range (cols + 3) / 4 {
			line := panel[lineOf(k0/4+q):][:PanelN*4]
			wide := min(4, cols-4*q)
			for j := 0; j < rows; j += 2 {
				to := out[((p*PanelN-n0+j)/2)*PanelN+4*q:]
				for x := range wide {
					lo, hi := bf16Of(float32(int(line[4*j+x])-128)*scales[j]), uint32(0)
					if j+1 < rows {
						hi = bf16Of(float32(int(line[4*j+4+x])-128) * scales[j+1])
					}
					to[x] = lo | hi<<16
				}
			}
		}
	}
}

// bf16Of returns the bits of v rounded to bfloat16, ties to even. v is finite.
func bf16Of(v float32) uint32 {
	b := math.Float32bits(v)
	return (b + 0x7fff + b>>16&1) >> 16
}
