// Package kernel is the arithmetic of the CPU engine on slices: matrix products
// with packed weights, norms, activations, the products of attention and the
// optimiser. Kernels check lengths, allocate nothing and start no goroutines.
//
// x.go has a kernel's contract and checks, x_generic.go its plain Go loop (always
// compiled: the oracle of the tests and the fallback), x_amd64.go the choice of a
// level of package cpu, and x_amd64.s the assembly. The folder _asm writes the
// assembly and its declarations (x_stubs_amd64.go).
//
// Each element of a result has one fixed order of summation, which depends only on
// the lengths of its own operands. Results therefore do not change with the batch,
// the tiling or the number of threads. They do differ in rounding between the
// levels of package cpu.
//
// The package is large because every kernel has a contract, a plain twin, a choice of
// level and generated declarations (about 900 lines). They share panels and
// blocks, so that a wall between families would run through one format.
package kernel

import (
	"barka/internal/cpu"
	"barka/internal/dtype"
)

// PanelN is the number of outputs of a panel. A panel is the packed form of that
// many rows of a weight: for each input its 32 weights are adjacent.
const PanelN = 32

// blockK is the length of the blocks of k in which products are computed. A block of
// a panel has 128 KiB and stays in a core's second-level cache for all rows.
const blockK = 1024

// sumBlock is the number of terms in a block of a float32 sum. Each block is summed
// from zero and then added to the sum of the blocks before it. With one accumulator
// the rounding error of n terms grows with √n; with blocks it grows with
// √(sumBlock + n/sumBlock), a half to a third of that at the widths of models.
// sumBlock divides blockK, which therefore does not change the order. Products of
// bfloat16 have one accumulator, since the rounding of their operands is larger.
const sumBlock = 128

// Panels returns the number of panels of n outputs.
func Panels(n int) int { return (n + PanelN - 1) / PanelN }

// Pairs returns the number of bfloat16 pairs of k inputs.
func Pairs(k int) int { return (k + 1) / 2 }

// PackedF32 returns the length of W [n,k] packed as float32: panels [k][32]. Columns
// after the n-th are zero.
func PackedF32(n, k int) int { return Panels(n) * k * PanelN }

// PackedBF16 returns the length of W [n,k] packed as bfloat16: panels
// [⌈k/2⌉][32][2]. A 32-bit lane holds two neighbouring k of one output.
func PackedBF16(n, k int) int { return Panels(n) * Pairs(k) * PanelN * 2 }

// TileRows returns the most rows of a tile at the level in use. Activations are
// packed in blocks of that many rows; nextTile gives the rows of the last ones.
func TileRows() int {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		return 12
	case level >= cpu.AVX2:
		return 6
	}
	return 4
}

// RowBlocks returns the number of blocks into which m rows are divided for packing
// and for products. Blocks have TileRows() rows; the last also takes the rest.
func RowBlocks(m int) int {
	if m == 0 {
		return 0
	}
	return max(1, m/TileRows())
}

// BlockRange returns the rows lo ≤ i < hi of the blocks from ≤ b < to of RowBlocks(m).
func BlockRange(m, from, to int) (lo, hi int) {
	if to == RowBlocks(m) {
		return from * TileRows(), m
	}
	return from * TileRows(), to * TileRows()
}

// nextTile returns the number of rows of the next tile. If fewer than two tiles' rows
// are left, two tiles share them evenly: a tile of a few rows cannot keep the
// multipliers busy.
func nextTile(left int) int {
	switch step := TileRows(); {
	case left >= 2*step:
		return step
	case left > step:
		return (left + 1) / 2
	}
	return left
}

// PackPanelF32 packs panel p of W [n,k] as float32. src writes row i of W to row,
// which is scratch for k values.
func PackPanelF32(dst []float32, p, n, k int, src func(i int, row []float32), row []float32) {
	if len(dst) < k*PanelN || len(row) < k {
		panic("kernel: the panel or the scratch is too short")
	}
	row = row[:k]
	for j := range PanelN {
		i := p*PanelN + j
		if i >= n {
			for at := j; at < k*PanelN; at += PanelN {
				dst[at] = 0
			}
			continue
		}
		src(i, row)
		for x, v := range row {
			dst[x*PanelN+j] = v
		}
	}
}

// PackPanelBF16 is PackPanelF32 for bfloat16, to which it rounds.
func PackPanelBF16(dst []uint16, p, n, k int, src func(i int, row []float32), row []float32) {
	if len(dst) < Pairs(k)*PanelN*2 || len(row) < k {
		panic("kernel: the panel or the scratch is too short")
	}
	row = row[:k]
	clear(dst[:Pairs(k)*PanelN*2])
	for j := range PanelN {
		i := p*PanelN + j
		if i >= n {
			break
		}
		src(i, row)
		for x, v := range row {
			dst[(x/2*PanelN+j)*2+x%2] = dtype.ToBF16(v)
		}
	}
}

// CopyPanelF32 is PackPanelF32 for a float32 matrix in memory.
func CopyPanelF32(dst, w []float32, p, n, k int) {
	copyPanel(dst[:k*PanelN], w, p, n, k)
}

// CopyPanelBF16 is PackPanelBF16 for a bfloat16 matrix in memory. w holds the rows
// of W as pairs of values, k/2 words per row. k must be even.
func CopyPanelBF16(dst []uint16, w []float32, p, n, k int) {
	if k%2 != 0 {
		panic("kernel: a row of odd length cannot be copied as pairs")
	}
	copyPanel(dst[:k*PanelN], w, p, n, k/2)
}

// copyPanel transposes rows of words into the columns of panel p.
func copyPanel[T uint16 | float32](dst []T, w []float32, p, n, words int) {
	out, rows := view32(dst), min(PanelN, n-p*PanelN)
	if rows < PanelN {
		clear(out)
	}
	for half := 0; half < rows; half += 16 {
		count := min(16, rows-half)
		at := evenly((p*PanelN+half)*words, words, count)
		transposeRows(out[half:], PanelN, view32(w), &at, count, words)
	}
}

// PackRowsF32 packs rows x [m,k], ldx values apart, for products with float32
// panels: each block of nextTile rows as [k][rows]. dst needs m·k values.
func PackRowsF32(dst, x []float32, ldx, m, k int) {
	if len(dst) < m*k || m > 0 && len(x) < (m-1)*ldx+k {
		panic("kernel: the packed rows or their source are too short")
	}
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		packBlock(dst[i*k:(i+rows)*k], x, i*ldx, ldx, rows, k)
	}
}

// packBlock writes rows that start at x[first], ldx apart, as [k][rows].
func packBlock(dst, x []float32, first, ldx, rows, k int) {
	if rows == 1 {
		copy(dst[:k], x[first:])
		return
	}
	at := evenly(first, ldx, rows)
	transposeRows(view32(dst), rows, view32(x), &at, rows, k)
}

// PackRowsBF16 packs rows x [m,k] for products with bfloat16 panels and rounds each
// value. A block is [⌈k/2⌉][rows] 32-bit words, each a pair of bfloat16. At levels
// without bfloat16 products it is [2⌈k/2⌉][rows] rounded float32 values. dst needs
// PackedRowsBF16(m, k) values; its type says nothing about its contents.
func PackRowsBF16(dst []float32, x []float32, ldx, m, k int) {
	if len(dst) < PackedRowsBF16(m, k) || m > 0 && len(x) < (m-1)*ldx+k {
		panic("kernel: the packed rows or their source are too short")
	}
	pairs := Pairs(k)
	if cpu.Current() < cpu.AVX512BF16 {
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			block := dst[i*2*pairs : (i+rows)*2*pairs]
			packBlock(block, x, i*ldx, ldx, rows, k)
			clear(block[k*rows:])
			RoundBF16(block[:k*rows])
		}
		return
	}
	words := view32(dst)
	for i, rows := 0, 0; i < m; i += rows {
		rows = nextTile(m - i)
		block := words[i*pairs : (i+rows)*pairs]
		at, done := evenly(i*ldx, ldx, rows), 0
		if rows > 1 {
			done = transposePairRows(block, rows, x, &at, rows, k)
		}
		for r := range rows {
			packPairs(block[min(done/2*rows+r, len(block)):], rows, x[(i+r)*ldx+done:(i+r)*ldx+k])
		}
	}
}

// packPairs writes the bfloat16 pairs of a row, stride words apart.
func packPairs(dst []uint32, stride int, row []float32) {
	at := 0
	for len(row) >= 2 {
		dst[at] = uint32(dtype.ToBF16(row[0])) | uint32(dtype.ToBF16(row[1]))<<16
		row = row[2:]
		at += stride
	}
	if len(row) == 1 {
		dst[at] = uint32(dtype.ToBF16(row[0]))
	}
}

// PackedRowsBF16 returns the length that PackRowsBF16 needs.
func PackedRowsBF16(m, k int) int {
	if cpu.Current() >= cpu.AVX512BF16 {
		return m * Pairs(k)
	}
	return m * 2 * Pairs(k)
}

// PanelF32 multiplies packed rows A [m,k] with one panel: c [m, cols] = A·panelᵀ, or
// c += A·panelᵀ with accumulate. Rows of c are ldc values apart; cols is at most 32.
func PanelF32(c []float32, ldc int, a []float32, m, k int, panel []float32, cols int, accumulate bool) {
	if len(a) < m*k || len(panel) < k*PanelN {
		panic("kernel: the packed operands are too short")
	}
	checkTile(c, ldc, m, cols)
	if cols < PanelN {
		var t tileBuffer
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			t.load(c[i*ldc:], ldc, rows, cols, accumulate)
			tileF32(t[:], PanelN, a[i*k:(i+rows)*k], panel, rows, k, true, nextBlock{})
			t.store(c[i*ldc:], ldc, rows, cols)
		}
		return
	}
	if k == 0 {
		zeroTile(c, ldc, m, PanelN, accumulate)
		return
	}
	block := evenBlocks(k, sumBlock)
	for kb := 0; kb < k; kb += block {
		kn := min(block, k-kb)
		next := nextBlock{bytes: 4 * PanelN * kn, tiles: tiles(m)}
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			tileF32(c[i*ldc:], ldc, a[i*k+kb*rows:], panel[kb*PanelN:], rows, kn, accumulate || kb > 0, next)
			next.tile++
		}
	}
}

// PanelBF16 is PanelF32 for rows and panels packed as bfloat16. Sums are float32.
func PanelBF16(c []float32, ldc int, a []float32, m, k int, panel []uint16, cols int, accumulate bool) {
	pairs := Pairs(k)
	if len(a) < PackedRowsBF16(m, k) || len(panel) < pairs*PanelN*2 {
		panic("kernel: the packed operands are too short")
	}
	checkTile(c, ldc, m, cols)
	words := PackedRowsBF16(1, k) / max(pairs, 1) // a's values per pair and row
	if cols < PanelN {
		var t tileBuffer
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			t.load(c[i*ldc:], ldc, rows, cols, accumulate)
			tileBF16(t[:], PanelN, a[i*pairs*words:], panel, rows, pairs, true, nextBlock{})
			t.store(c[i*ldc:], ldc, rows, cols)
		}
		return
	}
	if k == 0 {
		zeroTile(c, ldc, m, PanelN, accumulate)
		return
	}
	block := evenBlocks(pairs, 1)
	for kb := 0; kb < pairs; kb += block {
		kn := min(block, pairs-kb)
		next := nextBlock{bytes: 4 * PanelN * kn, tiles: tiles(m)}
		for i, rows := 0, 0; i < m; i += rows {
			rows = nextTile(m - i)
			tileBF16(c[i*ldc:], ldc, a[(i*pairs+kb*rows)*words:], panel[kb*PanelN*2:], rows, kn, accumulate || kb > 0, next)
			next.tile++
		}
	}
}

// evenBlocks returns the length of the blocks of k: a multiple of unit, at most blockK and
// nearly equal, so that one block's products take as long as loading the next.
func evenBlocks(k, unit int) int {
	n := (k + blockK - 1) / blockK
	return ((k+n-1)/n + unit - 1) / unit * unit
}

// nextBlock tells a tile what to prefetch: its share of the block of weights that follows the
// one of all tiles. If only the first tile loaded a block, memory would be idle while the
// others run.
type nextBlock struct {
	bytes       int // of a block
	tile, tiles int // the tile among those of the block
}

// prefetchAhead is the distance in bytes at which a tile prefetches that is alone.
const prefetchAhead = 8192

// prefetch returns the distance in bytes of the tile's share from the weights that it
// multiplies with, and its bytes for each step of k.
func (b nextBlock) prefetch() (ahead, step uintptr) {
	if b.tiles <= 1 {
		return prefetchAhead, 4 * PanelN
	}
	return uintptr(b.bytes + b.tile*b.bytes/b.tiles), uintptr((4*PanelN + b.tiles - 1) / b.tiles)
}

// tiles returns the number of tiles of m rows.
func tiles(m int) int { return (m + TileRows() - 1) / TileRows() }

// checkTile panics unless m rows of cols values, ldc apart, fit in c.
func checkTile(c []float32, ldc, m, cols int) {
	if cols < 0 || cols > PanelN || cols > ldc || m > 0 && len(c) < (m-1)*ldc+cols {
		panic("kernel: the product does not fit its destination")
	}
}

// zeroTile is a product over no terms.
func zeroTile(c []float32, ldc, m, cols int, accumulate bool) {
	if accumulate {
		return
	}
	for i := range m {
		clear(c[i*ldc : i*ldc+cols])
	}
}

// tileBuffer holds a tile of the last panel, which may have fewer than 32 columns.
// Its product runs over all of k at once, in the same order of summation.
type tileBuffer [12 * PanelN]float32

// load starts the tile with zero, or with the rows of c if the product is added.
func (t *tileBuffer) load(c []float32, ldc, rows, cols int, accumulate bool) {
	clear(t[:rows*PanelN])
	if !accumulate {
		return
	}
	for r := range rows {
		copy(t[r*PanelN:r*PanelN+cols], c[r*ldc:])
	}
}

// store writes the existing columns to c.
func (t *tileBuffer) store(c []float32, ldc, rows, cols int) {
	for r := range rows {
		copy(c[r*ldc:r*ldc+cols], t[r*PanelN:])
	}
}

// TransposePanelF32 makes a panel for dx = dy·W, whose sums run over the outputs. It
// takes the rows n0 ≤ i < n1 of packed W [n,k] and the 32 inputs from k0 on, and
// writes them as [n1-n0][32]. n0 is a multiple of 32.
func TransposePanelF32(dst, w []float32, n, k, n0, n1, k0 int) {
	cols := min(PanelN, k-k0)
	for p := n0 / PanelN; p*PanelN < n1; p++ {
		panel := w[p*k*PanelN:]
		rows := min(PanelN, n1-p*PanelN)
		out := dst[(p*PanelN-n0)*PanelN:]
		if rows == PanelN && cols == PanelN {
			from, to := view32(panel), view32(out)
			for half := 0; half < PanelN; half += 16 {
				at := evenly((k0+half)*PanelN, PanelN, 16)
				transposeRows(to[half:], PanelN, from, &at, 16, PanelN)
			}
			continue
		}
		for x := range cols {
			for j, v := range panel[(k0+x)*PanelN : (k0+x)*PanelN+rows] {
				out[j*PanelN+x] = v
			}
		}
		for j := range rows {
			clear(out[j*PanelN+cols : (j+1)*PanelN])
		}
	}
}

// TransposePanelBF16 is TransposePanelF32 for bfloat16; the panel is
// [⌈(n1-n0)/2⌉][32][2]. n0 is a multiple of 32, and k0 is even.
func TransposePanelBF16(dst []uint16, w []uint16, n, k, n0, n1, k0 int) {
	pairs := Pairs(k)
	words := min(PanelN/2, pairs-k0/2)
	for p := n0 / PanelN; p*PanelN < n1; p++ {
		panel := view32(w[p*pairs*PanelN*2:])
		rows := min(PanelN, n1-p*PanelN)
		out := view32(dst[(p*PanelN-n0)*PanelN:])
		if rows == PanelN && words == PanelN/2 &&
			transposePairPanel(out, panel[k0/2*PanelN:]) && transposePairPanel(out[8*PanelN:], panel[k0/2*PanelN+16:]) {
			continue
		}
		for j := 0; j < rows; j += 2 {
			line := out[j/2*PanelN : (j/2+1)*PanelN]
			for x := range words {
				a := panel[(k0/2+x)*PanelN+j]
				b := panel[(k0/2+x)*PanelN+j+1] // zero after the n-th output
				line[2*x] = a&0xffff | b<<16
				line[2*x+1] = a>>16 | b&0xffff0000
			}
			clear(line[2*words:])
		}
	}
}

// PanelOfRows copies the columns c0 ≤ j < c0+cols of x [m,k], whose rows are ldx
// values apart, to a panel [m][32]: the right operand of dw = dyᵀ·x.
func PanelOfRows(dst, x []float32, ldx, m, c0, cols int) {
	for i := range m {
		n := copy(dst[i*PanelN:(i+1)*PanelN], x[i*ldx+c0:i*ldx+c0+cols])
		clear(dst[i*PanelN+n : (i+1)*PanelN])
	}
}

// PackColumns packs the columns c0 ≤ j < c0+n of dy [m,·], whose rows are ldy values
// apart, as the left operand of dw = dyᵀ·x: each block of nextTile columns as
// [m][columns].
func PackColumns(dst, dy []float32, ldy, m, c0, n int) {
	for j, cols := 0, 0; j < n; j += cols {
		cols = nextTile(n - j)
		block := dst[j*m : (j+cols)*m]
		switch cols { // a copy of constant size needs no call
		case 12:
			for i := range m {
				*(*[12]float32)(block[i*12:]) = [12]float32(dy[i*ldy+c0+j:])
			}
		case 6:
			for i := range m {
				*(*[6]float32)(block[i*6:]) = [6]float32(dy[i*ldy+c0+j:])
			}
		default:
			for i := range m {
				copy(block[i*cols:(i+1)*cols], dy[i*ldy+c0+j:])
			}
		}
	}
}
