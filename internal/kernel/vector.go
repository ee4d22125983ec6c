package kernel

// Dot returns Σ a[i]·b[i]; b must be at least as long as a.
func Dot(a, b []float32) float32 {
	if len(b) < len(a) {
		panic("kernel: dot of unequal lengths")
	}
	n := len(a) &^ 15
	sum := dotBlocks(a[:n], b)
	for i := n; i < len(a); i++ {
		sum += float32(a[i] * b[i])
	}
	return sum
}

// Scores fills dst[i] = scale·(q·k[rows[i]]), where row r of k is
// k[r·ld+off : r·ld+off+len(q)].
func Scores(dst, q, k []float32, rows []int32, ld, off int, scale float32) {
	if len(dst) < len(rows) {
		panic("kernel: scores do not fit")
	}
	d := len(q)
	i := 0
	if d%16 == 0 && d > 0 {
		for ; i+4 <= len(rows); i += 4 {
			at := func(j int) []float32 { s := int(rows[i+j])*ld + off; return k[s : s+d] }
			dotsBlocks((*[4]float32)(dst[i:i+4]), q, at(0), at(1), at(2), at(3))
			for j := range 4 {
				dst[i+j] *= scale
			}
		}
		// The last rows go through the same sums, one row repeated.
		if n := len(rows) - i; n > 0 {
			at := func(j int) []float32 { s := int(rows[i+min(j, n-1)])*ld + off; return k[s : s+d] }
			var last [4]float32
			dotsBlocks(&last, q, at(0), at(1), at(2), at(3))
			for j := range n {
				dst[i+j] = last[j] * scale
			}
		}
		return
	}
	for ; i < len(rows); i++ {
		s := int(rows[i])*ld + off
		dst[i] = Dot(q, k[s:s+d]) * scale
	}
}

// WeightedSum adds Σ p[i]·v[rows[i]] to out, i ascending; rows of v as in
// Scores.
func WeightedSum(out, p, v []float32, rows []int32, ld, off int) {
	d := len(out)
	for i, r := range rows {
		s := int(r)*ld + off
		Axpy(p[i], v[s:s+d], out)
	}
}

// Axpy: y[i] += alpha·x[i].
func Axpy(alpha float32, x, y []float32) {
	if len(y) < len(x) {
		panic("kernel: axpy of unequal lengths")
	}
	n := len(x) &^ 15
	if n > 0 {
		axpyBlocks(alpha, x[:n], y)
	}
	for i := n; i < len(x); i++ {
		y[i] += float32(alpha * x[i])
	}
}

// Scale: x[i] *= alpha.
func Scale(alpha float32, x []float32) {
	n := len(x) &^ 15
	if n > 0 {
		scaleBlocks(x[:n], alpha)
	}
	scaleGeneric(x[n:], alpha)
}

// Add: y[i] += x[i].
func Add(y, x []float32) { Axpy(1, x, y) }

// SumSquares returns Σ x[i]² in float64.
func SumSquares(x []float32) float64 {
	n := len(x) &^ 15
	sum := 0.0
	if n > 0 {
		sum = sumSquaresBlocks(x[:n])
	}
	for _, v := range x[n:] {
		sum += float64(v) * float64(v)
	}
	return sum
}

// Sum returns Σ x[i] in float64.
func Sum(x []float32) float64 {
	n := len(x) &^ 15
	sum := sumGeneric(x[n:])
	if n > 0 {
		sum += sumBlocks(x[:n])
	}
	return sum
}

// Max returns the largest value that is not NaN, -Inf of none.
func Max(x []float32) float32 {
	n := len(x) &^ 15
	m := maxGeneric(x[n:])
	if n > 0 {
		m = max(m, maxBlocks(x[:n]))
	}
	return m
}
