//go:build !amd64

package kernel

func dotBlocks(a, b []float32) float32 { return dotGeneric(a, b) }

func axpyBlocks(alpha float32, x, y []float32) { axpyGeneric(alpha, x, y) }

func sumSquaresBlocks(x []float32) float64 { return sumSquaresGeneric(x) }
