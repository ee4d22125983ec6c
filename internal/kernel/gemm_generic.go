package kernel

import "barka/internal/dtype"

// tileF32Generic: c[r][j] (=|+=) Σₖ a[k][r]·b[k][j], k ascending.
func tileF32Generic(c []float32, ldc int, a, b []float32, rows, k int, load bool) {
	for r := range rows {
		var acc [PanelN]float32
		if load {
			copy(acc[:], c[r*ldc:r*ldc+PanelN])
		}
		for x := range k {
			av := a[x*rows+r]
			for j, bv := range b[x*PanelN : (x+1)*PanelN] {
				acc[j] += float32(av * bv)
			}
		}
		copy(c[r*ldc:r*ldc+PanelN], acc[:])
	}
}

// tileBF16Generic is the same over bfloat16 pairs b[k/2][j][2] and rounded
// float32 a[k][r].
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
