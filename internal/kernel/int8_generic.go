package kernel

// tileI8Generic computes c[r][j] (=|+=) (Σₖ a[k][r]·b[k][j])·scales[j]·rowScales[r],
// with the sum in int32. Without assembly, rows are packed as 16-bit integers.
func tileI8Generic(c []float32, ldc int, a, rowScales []float32, b []int8, scales []float32, rows, quads int, load bool) {
	words := view32(a)
	for r := range rows {
		var acc [PanelN]int32
		for q := range quads {
			lo, hi := words[(q*rows+r)*2], words[(q*rows+r)*2+1]
			a0, a1, a2, a3 := int32(int16(lo)), int32(lo)>>16, int32(int16(hi)), int32(hi)>>16
			line := b[q*PanelN*4 : (q+1)*PanelN*4]
			for j := range acc {
				w := line[4*j : 4*j+4]
				acc[j] += a0*int32(w[0]) + a1*int32(w[1]) + a2*int32(w[2]) + a3*int32(w[3])
			}
		}
		out := c[r*ldc : r*ldc+PanelN]
		for j, sum := range acc {
			v := float32(float32(float32(sum)*scales[j]) * rowScales[r])
			if load {
				v += out[j]
			}
			out[j] = v
		}
	}
}
