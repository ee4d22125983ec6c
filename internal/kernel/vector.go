package kernel

// Dot returns Σ a[i]·b[i]; b must be at least as long as a.
func Dot(a, b []float32) float32 {
	if len(b) < len(a) {
		panic("kernel: dot product of slices of different lengths")
	}
	n := len(a) &^ 15
	sum := dotBlocks(a[:n], b)
	for i := n; i < len(a); i++ {
		sum += float32(a[i] * b[i])
	}
	return sum
}

// Axpy adds alpha·x[i] to each y[i]. y must be at least as long as x.
func Axpy(alpha float32, x, y []float32) {
	if len(y) < len(x) {
		panic("kernel: axpy of slices of different lengths")
	}
	n := len(x) &^ 15
	if n > 0 {
		axpyBlocks(alpha, x[:n], y)
	}
	for i := n; i < len(x); i++ {
		y[i] += float32(alpha * x[i])
	}
}

// Scale sets each y[i] = alpha·x[i]. x must be at least as long as y, and may be y.
func Scale(y []float32, alpha float32, x []float32) {
	if len(x) < len(y) {
		panic("kernel: scaling of slices of different lengths")
	}
	n := len(y) &^ 15
	if n > 0 {
		scaleBlocks(y[:n], x, alpha)
	}
	scaleGeneric(y[n:], x[n:], alpha)
}

// Add adds each x[i] to y[i]. y must be at least as long as x.
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

// Max returns the largest value that is not NaN, or -Inf if there is none.
func Max(x []float32) float32 {
	n := len(x) &^ 15
	m := maxGeneric(x[n:])
	if n > 0 {
		m = max(m, maxBlocks(x[:n]))
	}
	return m
}
