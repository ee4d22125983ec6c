package kernel

import "math"

// RMSNorm sets y = x·ρ·w with ρ = 1/√(mean(x²)+eps). With plusOne the factor is
// 1+w instead of w, as in Gemma. y may be x. After Zhang and Sennrich, "Root Mean
// Square Layer Normalization", 2019.
func RMSNorm(y, x, w []float32, eps float32, plusOne bool) {
	if len(y) < len(x) || len(w) < len(x) {
		panic("kernel: norm of slices of different lengths")
	}
	rho, one, n := inverseRMS(x, eps), float32(0), len(x)&^15
	if plusOne {
		one = 1
	}
	if n > 0 {
		normScaleBlocks(y[:n], x, w, rho, one)
	}
	normScaleGeneric(y[n:len(x)], x[n:], w[n:], rho, one)
}

// inverseRMS returns ρ = 1/√(mean(x²)+eps).
func inverseRMS(x []float32, eps float32) float32 {
	mean := float32(SumSquares(x) / float64(len(x)))
	return float32(1 / math.Sqrt(float64(mean+eps)))
}

// RMSNormBackward sets dx = ρ·g − x·ρ³·mean(g∘x) with g = dy∘w, or dy∘(1+w) with
// plusOne. With accumulate the gradient is added to dx. dx may be dy.
func RMSNormBackward(dx, dy, x, w []float32, eps float32, plusOne, accumulate bool) {
	if len(dx) < len(x) || len(dy) < len(x) || len(w) < len(x) {
		panic("kernel: norm of slices of different lengths")
	}
	rho := inverseRMS(x, eps)
	one := float32(0)
	if plusOne {
		one = 1
	}
	n := len(x) &^ 15
	dot := normDotGeneric(dy[n:len(x)], w[n:], x[n:], one)
	if n > 0 {
		dot += normDotBlocks(dy[:n], w, x, one)
	}
	c := float32(float64(rho) * float64(rho) * float64(rho) * dot / float64(len(x)))
	keep := keepBits(accumulate)
	if n > 0 {
		normBackwardBlocks(dx[:n], dy, w, x, rho, one, c, keep)
	}
	normBackwardGeneric(dx[n:len(x)], dy[n:], w[n:], x[n:], rho, one, c, keep)
}

// keepBits returns the mask of the old value that a result is added to: all bits
// with accumulate, none otherwise.
func keepBits(accumulate bool) float32 {
	if accumulate {
		return math.Float32frombits(0xffffffff)
	}
	return 0
}

// LayerNorm sets y = (x-mean)/√(var+eps)·w + b, with the biased variance. y may be
// x.
func LayerNorm(y, x, w, b []float32, eps float32) {
	if len(y) < len(x) || len(w) < len(x) || len(b) < len(x) {
		panic("kernel: norm of slices of different lengths")
	}
	mean, rho := moments(x, eps)
	n := len(x) &^ 15
	if n > 0 {
		layerScaleBlocks(y[:n], x, w, b, mean, rho)
	}
	layerScaleGeneric(y[n:len(x)], x[n:], w[n:], b[n:], mean, rho)
}

// moments returns the mean and ρ = 1/√(var+eps). Squares of float32 values are
// exact in float64. The error of E[x²]-E[x]² is therefore invisible in float32
// unless the mean is about 10⁵ times the deviation.
func moments(x []float32, eps float32) (mean, rho float32) {
	n := float64(len(x))
	m := Sum(x) / n
	variance := max(SumSquares(x)/n-m*m, 0)
	return float32(m), float32(1 / math.Sqrt(variance+float64(eps)))
}

// LayerNormBackward sets dx = ρ(g − mean(g) − x̂·mean(g∘x̂)) with g = dy∘w and x̂
// the normalised input. With accumulate the gradient is added to dx. dx may be dy.
func LayerNormBackward(dx, dy, x, w []float32, eps float32, accumulate bool) {
	if len(dx) < len(x) || len(dy) < len(x) || len(w) < len(x) {
		panic("kernel: norm of slices of different lengths")
	}
	mean, rho := moments(x, eps)
	n := len(x) &^ 15
	sum, dot := dot64Generic(dy[n:len(x)], w[n:]), normDotGeneric(dy[n:len(x)], w[n:], x[n:], 0)
	if n > 0 {
		sum += dot64Blocks(dy[:n], w)
		dot += normDotBlocks(dy[:n], w, x, 0)
	}
	dot = (dot - float64(mean)*sum) * float64(rho) // Σ g∘x̂
	count := float64(len(x))
	mg, mgx, keep := float32(sum/count), float32(dot/count)*rho, keepBits(accumulate)
	if n > 0 {
		layerBackwardBlocks(dx[:n], dy, w, x, mean, rho, mg, keep, mgx)
	}
	layerBackwardGeneric(dx[n:len(x)], dy[n:], w[n:], x[n:], mean, rho, mg, keep, mgx)
}

// Rotate applies a rotary position embedding to a row of heads, in place. In each
// head it rotates the pair of values i and i+len(cos) by the angle whose cosine
// and sine are given, or by minus that angle with inverse.
func Rotate(x []float32, heads, headDim int, cos, sin []float32, inverse bool) {
	half := len(cos)
	if len(x) < heads*headDim || 2*half > headDim || len(sin) < half {
		panic("kernel: rotation: the row is shorter than its heads, or a head than its angles")
	}
	sign := float32(1)
	if inverse {
		sign = -1
	}
	n := half &^ 15
	for h := range heads {
		a, b := x[h*headDim:h*headDim+half], x[h*headDim+half:h*headDim+2*half]
		if n > 0 {
			rotateBlocks(a[:n], b, cos, sin, sign)
		}
		rotateGeneric(a[n:half], b[n:], cos[n:], sin[n:], sign)
	}
}

// AdamW updates the parameters p and the moments m and v by the gradient g, in
// PyTorch's order of operations. correction1 and correction2 are 1-β1ᵗ and 1-β2ᵗ.
func AdamW(p, g, m, v []float32, lr, beta1, beta2, eps, decay, correction1, correction2 float32) {
	if len(g) < len(p) || len(m) < len(p) || len(v) < len(p) {
		panic("kernel: optimiser step on slices of different lengths")
	}
	step := float32(float64(lr) / float64(correction1))
	root := float32(math.Sqrt(float64(correction2)))
	keep := 1 - lr*decay
	n := len(p) &^ 15
	if n > 0 {
		adamWBlocks(p[:n], g, m, v, 1-beta1, beta2, 1-beta2, root, eps, keep, step)
	}
	adamWGeneric(p[n:], g[n:len(p)], m[n:], v[n:], 1-beta1, beta2, 1-beta2, root, eps, keep, step)
}
