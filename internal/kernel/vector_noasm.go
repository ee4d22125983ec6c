//go:build !amd64

package kernel

func dotBlocks(a, b []float32) float32 { return dotGeneric(a, b) }

func dotsBlocks(dst *[4]float32, q, k0, k1, k2, k3 []float32) { dotsGeneric(dst, q, k0, k1, k2, k3) }

func axpyBlocks(alpha float32, x, y []float32) { axpyGeneric(alpha, x, y) }

func sumSquaresBlocks(x []float32) float64 { return sumSquaresGeneric(x) }
