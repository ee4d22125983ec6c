//go:build !amd64

package kernel

func (p *Places) scores(dst []float32, ldd int, q []float32, ldq, rows int, at []int) {
	p.scoresGeneric(dst, ldd, q, ldq, rows, at)
}

func (p *Places) weighted(y, w []float32, at []int) { p.weightedGeneric(y, w, at) }

func combine(c []float32, ldc int, a []float32, lda, m, k int, panel []float32) {
	combineGeneric(c, ldc, a, lda, m, k, panel)
}

func reduce(c []float32, ldc int, a []float32, lda, n, k int, panel []float32) {
	reduceGeneric(c, ldc, a, lda, n, k, panel)
}
