package kernel

import "barka/internal/dtype"

// transposeRows transposes n ≤ 16 rows of src, which start at the offsets in at:
// dst[c·stride+r] = src[at[r]+c] for r < n and c < cols. The offsets after the
// first n must be valid too; their rows are read and not stored.
func transposeRows(dst []uint32, stride int, src []uint32, at *[16]int, n, cols int) {
	if cols == 0 || n == 0 {
		return
	}
	if len(dst) < (cols-1)*stride+n {
		panic("kernel: transposed rows do not fit")
	}
	for _, o := range at {
		if o < 0 || len(src) < o+cols {
			panic("kernel: rows to transpose are outside their source")
		}
	}
	done := transposeBlocks(dst, stride, src, at, n, cols)
	for r := range n {
		for c, v := range src[at[r]+done : at[r]+cols] {
			dst[(done+c)*stride+r] = v
		}
	}
}

// RoundBF16 rounds each value to bfloat16 in place, ties to even.
func RoundBF16(x []float32) {
	for i := roundBlocks(x); i < len(x); i++ {
		x[i] = dtype.RoundBF16(x[i])
	}
}

// evenly returns the offsets of n rows that are ld values apart. The last is
// repeated up to 16.
func evenly(first, ld, n int) (at [16]int) {
	for r := range at {
		at[r] = first + min(r, n-1)*ld
	}
	return at
}

// GatherPanel copies rows of v to a panel [len(rows)][32]: for each row r the
// cols ≤ 32 values from v[r·ld+off] on. The other columns are zero.
func GatherPanel(dst, v []float32, rows []int32, ld, off, cols int) {
	for _, r := range rows {
		if at := int(r)*ld + off; at < 0 || at+cols > len(v) {
			panic("kernel: a row is outside its matrix")
		}
	}
	if len(dst) < len(rows)*PanelN || cols > PanelN {
		panic("kernel: the panel does not fit its rows")
	}
	if cols == PanelN && len(rows) > 0 && gatherRows(dst, v, rows, ld, off) {
		return
	}
	for i, r := range rows {
		at := int(r)*ld + off
		n := copy(dst[i*PanelN:(i+1)*PanelN], v[at:at+cols])
		clear(dst[i*PanelN+n : (i+1)*PanelN])
	}
}
