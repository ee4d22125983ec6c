package kernel

// dotGeneric sums sixteen lanes of a block each on its own, then the lanes
// pairwise; len(a) is a multiple of 16.
func dotGeneric(a, b []float32) float32 {
	var acc [16]float32
	for i := 0; i < len(a); i += 16 {
		for j := range acc {
			acc[j] += float32(a[i+j] * b[i+j])
		}
	}
	for s := 8; s > 0; s /= 2 {
		for j := range s {
			acc[j] += acc[j+s]
		}
	}
	return acc[0]
}

func dotsGeneric(dst *[4]float32, q, k0, k1, k2, k3 []float32) {
	dst[0], dst[1], dst[2], dst[3] = dotGeneric(q, k0), dotGeneric(q, k1), dotGeneric(q, k2), dotGeneric(q, k3)
}

func axpyGeneric(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += float32(alpha * v)
	}
}

func sumSquaresGeneric(x []float32) float64 {
	var acc [16]float64
	for i := 0; i < len(x); i += 16 {
		for j := range acc {
			acc[j] += float64(x[i+j]) * float64(x[i+j])
		}
	}
	for s := 8; s > 0; s /= 2 {
		for j := range s {
			acc[j] += acc[j+s]
		}
	}
	return acc[0]
}
