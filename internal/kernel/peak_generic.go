package kernel

var sink float32

// peakGeneric counts its multiplications and additions only, not those by 0.5.
func peakGeneric(iterations int) float64 {
	var a, b, c, d float32 = 1, 2, 3, 4
	for range iterations {
		a += float32(a * 0.999)
		b += float32(b * 0.998)
		c += float32(c * 0.997)
		d += float32(d * 0.996)
		a, b, c, d = a*0.5, b*0.5, c*0.5, d*0.5
	}
	sink = a + b + c + d
	return float64(iterations) * 12
}
