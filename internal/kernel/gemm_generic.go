package kernel

import "barka/internal/dtype"

// tileF32Generic computes c[r][j] (=|+=) Σₖ a[k][r]·b[k][j], k ascending, in blocks
// of sumBlock terms.
func tileF32Generic(c []float32, ldc int, a, b []float32, rows, k int, load bool) {
	for r := range rows {
		var sum [PanelN]float32
		if load {
			copy(sum[:], c[r*ldc:r*ldc+PanelN])
		}
		for first := 0; first < k; first += sumBlock {
			var acc [PanelN]float32
			for x := first; x < min(first+sumBlock, k); x++ {
				av := a[x*rows+r]
				for j, bv := range b[x*PanelN : (x+1)*PanelN] {
					acc[j] += float32(av * bv)
				}
			}
			for j, v := range acc {
				sum[j] += v
			}
		}
		copy(c[r*ldc:r*ldc+PanelN], sum[:])
	}
}

// tileBF16Generic is tileF32Generic for pairs of bfloat16 b[k/2][j][2] and rounded
// float32 values a[k][r], with one accumulator.
func tileBF16Generic(c []float32, ldc int, a []float32, b []uint16, rows, pairs int, load bool) {
	for r := range rows {
		var acc [PanelN]float32
		if load {
			copy(acc[:], c[r*ldc:r*ldc+PanelN])
		}
		for x := range pairs {
			even, odd := a[2*x*rows+r], a[(2*x+1)*rows+r]
			line := b[x*PanelN*2 : (x+1)*PanelN*2]
			for j := range acc {
				acc[j] += float32(even * dtype.FromBF16(line[2*j]))
				acc[j] += float32(odd * dtype.FromBF16(line[2*j+1]))
			}
		}
		copy(c[r*ldc:r*ldc+PanelN], acc[:])
	}
}
