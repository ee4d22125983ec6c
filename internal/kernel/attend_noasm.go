//go:build !amd64

package kernel

func (p *RowOffsets) scores(dst []float32, ldd int, q []float32, ldq, rows int, at []int) {
	p.scoresGeneric(dst, ldd, q, ldq, rows, at)
}

func (p *RowOffsets) weightedSum(y, w []float32, at []int) { p.weightedSumGeneric(y, w, at) }

func mulPanel(c []float32, ldc int, a []float32, lda, m, k int, panel []float32) {
	mulPanelGeneric(c, ldc, a, lda, m, k, panel)
}

func mulPanelT(c []float32, ldc int, a []float32, lda, n, k int, panel []float32) {
	mulPanelTGeneric(c, ldc, a, lda, n, k, panel)
}

func prefetch([]float32) {}

// KeyPanels reports whether the level in use has ScoresOfPanel.
func KeyPanels() bool { return false }

func scoresOfPanel([]float32, int, []float32, int, int, int, []float32) {
	panic("kernel: this level has no ScoresOfPanel")
}
