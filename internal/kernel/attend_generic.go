package kernel

// This file has the plain loops of the kernels in _asm/attend.go.

func (p *RowOffsets) scoresGeneric(dst []float32, ldd int, q []float32, ldq, rows int, at []int) {
	for r := range rows {
		for j, o := range at {
			dst[r*ldd+j] = dotGeneric(q[r*ldq:r*ldq+p.d], p.base[o:o+p.d])
		}
	}
}

func (p *RowOffsets) weightedSumGeneric(y, w []float32, at []int) {
	for j, o := range at {
		axpyGeneric(w[j], p.base[o:o+p.d], y)
	}
}

func mulPanelGeneric(c []float32, ldc int, a []float32, lda, m, k int, panel []float32) {
	for r := range m {
		clear(c[r*ldc : r*ldc+PanelN])
		for x, v := range a[r*lda : r*lda+k] {
			axpyGeneric(v, panel[x*PanelN:(x+1)*PanelN], c[r*ldc:])
		}
	}
}

func mulPanelTGeneric(c []float32, ldc int, a []float32, lda, n, k int, panel []float32) {
	for j := range n {
		for x := range k {
			axpyGeneric(a[x*lda+j], panel[x*PanelN:(x+1)*PanelN], c[j*ldc:])
		}
	}
}
