package kernel

// dotGeneric has one sum for each of the sixteen lanes of a block, and adds the
// lanes pairwise at the end. len(a) is a multiple of 16.
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

// axpyGeneric adds alpha·x[i] to y[i].
func axpyGeneric(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += float32(alpha * v)
	}
}

// sumSquaresGeneric has one sum for each lane, like dotGeneric, in float64.
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
