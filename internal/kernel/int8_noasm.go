//go:build !amd64

package kernel

func tileI8(c []float32, ldc int, a, rowScales []float32, b []int8, scales []float32, _ []int32, rows, quads int, load bool) {
	tileI8Generic(c, ldc, a, rowScales, b, scales, rows, quads, load)
}

func quantizeBlocks([]int16, []float32, float32) int { return 0 }

func absMaxBlocks([]float32) (done int, top uint32) { return 0, 0 }

func carryBlocks([]float32, uint32, uint32) (done int, carry uint32) { return 0, 0 }
