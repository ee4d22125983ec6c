//go:build !amd64

package kernel

func tileI8(c []float32, ldc int, a []float32, panel []byte, rows, quads int, load bool, _ *tileBuffer, _ nextBlock) {
	tileI8Generic(c, ldc, a, panel, rows, quads, load)
}

func packBlocks(_, _ []uint32, _, _ int, _ []float32) int { return 0 }

func quantizeBlocks([]int16, []float32, float32) int { return 0 }

func absMaxBlocks([]float32) (done int, top uint32) { return 0, 0 }

func carryBlocks([]float32, uint32, uint32) (done int, carry uint32) { return 0, 0 }

func pairsOfI8(*[16 * PanelN]uint32, []byte, int) bool { return false }
