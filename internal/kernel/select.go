package kernel

// SelectF32 packs some rows of packed W as a panel: output j is row rows[j] of W, with the
// same bits. There are at most 32 rows; dst is zero. k is the length of a row.
func SelectF32(dst, w []float32, k int, rows []int32) {
	for j, r := range rows {
		panel := w[int(r)/PanelN*k*PanelN:]
		selectLane(view32(dst)[j:], view32(panel)[r%PanelN:], k)
	}
}

// SelectBF16 is SelectF32 for bfloat16.
func SelectBF16(dst, w []uint16, k int, rows []int32) {
	for j, r := range rows {
		panel := w[int(r)/PanelN*Pairs(k)*PanelN*2:]
		selectLane(view32(dst)[j:], view32(panel)[r%PanelN:], Pairs(k))
	}
}

// SelectI8 is SelectF32 for integers with their scales.
func SelectI8(dst, w []byte, k int, rows []int32) {
	size := PanelBytesI8(k)
	for j, r := range rows {
		panel, from := w[int(r)/PanelN*size:][:size], int(r%PanelN)
		for q := 0; q < Quads(k); q += blockQuads {
			at := lineOf(q)
			scales := at - scaleBytes
			copy(dst[scales+2*j:scales+2*j+2], panel[scales+2*from:])
			selectLane(view32(dst[at:])[j:], view32(panel[at:])[from:], min(blockQuads, Quads(k)-q))
		}
	}
}

// selectLane copies the first word of each of some lines of 32.
func selectLane(dst, src []uint32, lines int) {
	for i := range lines {
		dst[i*PanelN] = src[i*PanelN]
	}
}
