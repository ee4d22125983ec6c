package kernel

import "math"

// tileI8Generic computes c[r][j] (=|+=) Σ over blocks of (Σₖ a[k][r]·b[k][j])·scales[j]·scale[r],
// with the sum over a block in int32. Without assembly, rows are packed as 16-bit
// integers.
func tileI8Generic(c []float32, ldc int, a []float32, panel []byte, rows, quads int, load bool) {
	words := view32(a)
	for from := 0; from < quads; from += blockQuads {
		count := min(blockQuads, quads-from)
		for r := range rows {
			var acc [PanelN]int32
			for q := range count {
				lo, hi := words[2*rows+(q*rows+r)*2], words[2*rows+(q*rows+r)*2+1]
				a0, a1, a2, a3 := int32(int16(lo)), int32(lo)>>16, int32(int16(hi)), int32(hi)>>16
				line := panel[lineOf(from+q):][:PanelN*4]
				for j := range acc {
					w := line[4*j : 4*j+4]
					acc[j] += a0*int32(w[0]) + a1*int32(w[1]) + a2*int32(w[2]) + a3*int32(w[3])
				}
			}
			scale, correction := math.Float32frombits(words[r]), int32(words[rows+r])
			out := c[r*ldc : r*ldc+PanelN]
			for j, sum := range acc {
				v := float32(float32(float32(sum+correction)*scaleOf(panel, from, j)) * scale)
				if load || from > 0 {
					v += out[j]
				}
				out[j] = v
			}
		}
		words = words[2*rows+2*count*rows:]
	}
}
