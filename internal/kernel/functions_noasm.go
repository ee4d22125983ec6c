//go:build !amd64

package kernel

func expBlocks(dst, x []float32) { expGeneric(dst, x) }

func tanhBlocks(dst, x []float32) { tanhGeneric(dst, x) }

func geluGateBlocks(dst, gate, up []float32) { geluGateGeneric(dst, gate, up) }

func geluGateBackwardBlocks(dgate, dup, dy, gate, up []float32) {
	geluGateBackwardGeneric(dgate, dup, dy, gate, up)
}
