package kernel

import "barka/internal/cpu"

func (p *RowOffsets) scores(dst []float32, ldd int, q []float32, ldq, rows int, at []int) {
	d, dq, groups, blocks := uintptr(4*ldd), uintptr(4*ldq), len(at)/4, p.d/16
	switch level := cpu.Current(); {
	case level >= cpu.AVX512 && rows == 3:
		scoresAVX512x3(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case level >= cpu.AVX512 && rows == 2:
		scoresAVX512x2(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case level >= cpu.AVX512:
		scoresAVX512x1(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case level >= cpu.AVX2 && rows == 3:
		scoresAVX2x3(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case level >= cpu.AVX2 && rows == 2:
		scoresAVX2x2(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	case level >= cpu.AVX2:
		scoresAVX2x1(&dst[0], d, &q[0], dq, &p.base[0], &at[0], groups, blocks)
	default:
		p.scoresGeneric(dst, ldd, q, ldq, rows, at)
	}
}

func prefetch(x []float32) { prefetchLines(&x[0], (len(x)+15)/16) }

// KeyPanels reports whether the level in use has ScoresOfPanel.
func KeyPanels() bool { return cpu.Current() >= cpu.AVX512 }

func scoresOfPanel(dst []float32, ldd int, q []float32, ldq, m, d int, panel []float32) {
	od, oq, blocks := uintptr(4*ldd), uintptr(4*ldq), d/16
	switch m {
	case 1:
		scoresPanelAVX512x1(&dst[0], od, &q[0], oq, &panel[0], blocks)
	case 2:
		scoresPanelAVX512x2(&dst[0], od, &q[0], oq, &panel[0], blocks)
	case 3:
		scoresPanelAVX512x3(&dst[0], od, &q[0], oq, &panel[0], blocks)
	case 4:
		scoresPanelAVX512x4(&dst[0], od, &q[0], oq, &panel[0], blocks)
	}
}

func (p *RowOffsets) weightedSum(y, w []float32, at []int) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		weightedSumAVX512(&y[0], &w[0], &p.base[0], &at[0], len(at)/4, p.d/16)
	case level >= cpu.AVX2:
		weightedSumAVX2(&y[0], &w[0], &p.base[0], &at[0], len(at)/4, p.d/16)
	default:
		p.weightedSumGeneric(y, w, at)
	}
}

func mulPanelAVX512(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, rows, k int) {
	switch rows {
	case 1:
		mulPanelAVX512x1(c, ldc, a, lda, b, k)
	case 2:
		mulPanelAVX512x2(c, ldc, a, lda, b, k)
	case 3:
		mulPanelAVX512x3(c, ldc, a, lda, b, k)
	case 4:
		mulPanelAVX512x4(c, ldc, a, lda, b, k)
	case 5:
		mulPanelAVX512x5(c, ldc, a, lda, b, k)
	case 6:
		mulPanelAVX512x6(c, ldc, a, lda, b, k)
	}
}

func mulPanelAVX2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, rows, k int) {
	switch rows {
	case 1:
		mulPanelAVX2x1(c, ldc, a, lda, b, k)
	case 2:
		mulPanelAVX2x2(c, ldc, a, lda, b, k)
	case 3:
		mulPanelAVX2x3(c, ldc, a, lda, b, k)
	case 4:
		mulPanelAVX2x4(c, ldc, a, lda, b, k)
	case 5:
		mulPanelAVX2x5(c, ldc, a, lda, b, k)
	case 6:
		mulPanelAVX2x6(c, ldc, a, lda, b, k)
	}
}

func mulPanel(c []float32, ldc int, a []float32, lda, m, k int, panel []float32) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		mulPanelAVX512(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], m, k)
	case level >= cpu.AVX2:
		mulPanelAVX2(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], m, k)
		mulPanelAVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[PanelN/2], m, k)
	default:
		mulPanelGeneric(c, ldc, a, lda, m, k, panel)
	}
}

func mulPanelTAVX512(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, columns, k int) {
	switch columns {
	case 1:
		mulPanelTAVX512x1(c, ldc, a, lda, b, k)
	case 2:
		mulPanelTAVX512x2(c, ldc, a, lda, b, k)
	case 3:
		mulPanelTAVX512x3(c, ldc, a, lda, b, k)
	case 4:
		mulPanelTAVX512x4(c, ldc, a, lda, b, k)
	case 5:
		mulPanelTAVX512x5(c, ldc, a, lda, b, k)
	case 6:
		mulPanelTAVX512x6(c, ldc, a, lda, b, k)
	}
}

func mulPanelTAVX2(c *float32, ldc uintptr, a *float32, lda uintptr, b *float32, columns, k int) {
	switch columns {
	case 1:
		mulPanelTAVX2x1(c, ldc, a, lda, b, k)
	case 2:
		mulPanelTAVX2x2(c, ldc, a, lda, b, k)
	case 3:
		mulPanelTAVX2x3(c, ldc, a, lda, b, k)
	case 4:
		mulPanelTAVX2x4(c, ldc, a, lda, b, k)
	case 5:
		mulPanelTAVX2x5(c, ldc, a, lda, b, k)
	case 6:
		mulPanelTAVX2x6(c, ldc, a, lda, b, k)
	}
}

func mulPanelT(c []float32, ldc int, a []float32, lda, n, k int, panel []float32) {
	switch level := cpu.Current(); {
	case level >= cpu.AVX512:
		mulPanelTAVX512(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], n, k)
	case level >= cpu.AVX2:
		mulPanelTAVX2(&c[0], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[0], n, k)
		mulPanelTAVX2(&c[PanelN/2], uintptr(4*ldc), &a[0], uintptr(4*lda), &panel[PanelN/2], n, k)
	default:
		mulPanelTGeneric(c, ldc, a, lda, n, k, panel)
	}
}
