//go:build !amd64

package kernel

func transposeBlocks([]uint32, int, []uint32, *[16]int, int, int) int { return 0 }

func transposePairRows([]uint32, int, []float32, *[16]int, int, int) int { return 0 }

func transposePairPanel(_, _ []uint32) bool { return false }

func roundBlocks([]float32) int { return 0 }

func gatherRows(_, _ []float32, _ []int32, _, _ int) bool { return false }
