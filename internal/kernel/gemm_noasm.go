//go:build !amd64

package kernel

func tileF32(c []float32, ldc int, a, b []float32, rows, k int, load bool, _ nextBlock) {
	tileF32Generic(c, ldc, a, b, rows, k, load)
}

func tileBF16(c []float32, ldc int, a []float32, b []uint16, rows, pairs int, load bool, _ nextBlock) {
	tileBF16Generic(c, ldc, a, b, rows, pairs, load)
}
