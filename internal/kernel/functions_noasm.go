//go:build !amd64

package kernel

func expBlocks(dst, x []float32) { expGeneric(dst, x) }

func tanhBlocks(dst, x []float32) { tanhGeneric(dst, x) }
