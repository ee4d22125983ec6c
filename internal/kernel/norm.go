package kernel

import "math"

// RMSNorm: y = x·ρ·w with ρ = 1/√(mean(x²)+eps), or ·(1+w) with plusOne
// (Gemma). y may be x.
func RMSNorm(y, x, w []float32, eps float32, plusOne bool) {
	if len(y) < len(x) || len(w) < len(x) {
		panic("kernel: norm of unequal lengths")
	}
	rho := inverseRMS(x, eps)
	if plusOne {
		for i, v := range x {
			y[i] = v * rho * (1 + w[i])
		}
		return
	}
	for i, v := range x {
		y[i] = v * rho * w[i]
	}
}

func inverseRMS(x []float32, eps float32) float32 {
	mean := float32(SumSquares(x) / float64(len(x)))
	return float32(1 / math.Sqrt(float64(mean+eps)))
}

// RMSNormBackward: dx = ρ·g − x·ρ³·mean(g∘x) with g = dy∘w (or dy∘(1+w)), or
// dx += with accumulate. dx may be dy.
func RMSNormBackward(dx, dy, x, w []float32, eps float32, plusOne, accumulate bool) {
	if len(dx) < len(x) || len(dy) < len(x) || len(w) < len(x) {
		panic("kernel: norm of unequal lengths")
	}
	rho := inverseRMS(x, eps)
	one := float32(0)
	if plusOne {
		one = 1
	}
	var dot float64
	for i, v := range x {
		dot += float64(dy[i]*(one+w[i])) * float64(v)
	}
	c := float32(float64(rho) * float64(rho) * float64(rho) * dot / float64(len(x)))
	for i, v := range x {
		d := rho*dy[i]*(one+w[i]) - v*c
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}

// LayerNorm: y = (x-mean)/√(var+eps)·w + b, biased variance. y may be x.
func LayerNorm(y, x, w, b []float32, eps float32) {
	if len(y) < len(x) || len(w) < len(x) || len(b) < len(x) {
		panic("kernel: norm of unequal lengths")
	}
	mean, rho := moments(x, eps)
	for i, v := range x {
		y[i] = (v-mean)*rho*w[i] + b[i]
	}
}

// moments returns the mean and 1/√(var+eps).
func moments(x []float32, eps float32) (mean, rho float32) {
	m := Sum(x) / float64(len(x))
	var sum float64
	for _, v := range x {
		d := float64(v) - m
		sum += d * d
	}
	return float32(m), float32(1 / math.Sqrt(sum/float64(len(x))+float64(eps)))
}

// LayerNormBackward: dx = ρ(g − mean(g) − x̂·mean(g∘x̂)) with g = dy∘w and x̂
// the normalised input, or dx += with accumulate. dx may be dy.
func LayerNormBackward(dx, dy, x, w []float32, eps float32, accumulate bool) {
	if len(dx) < len(x) || len(dy) < len(x) || len(w) < len(x) {
		panic("kernel: norm of unequal lengths")
	}
	mean, rho := moments(x, eps)
	var sum, dot float64
	for i, v := range x {
		g := float64(dy[i] * w[i])
		sum += g
		dot += g * float64((v-mean)*rho)
	}
	n := float64(len(x))
	mg, mgx := float32(sum/n), float32(dot/n)
	for i, v := range x {
		d := rho * (dy[i]*w[i] - mg - (v-mean)*rho*mgx)
		if accumulate {
			d += dx[i]
		}
		dx[i] = d
	}
}

// Rotate turns a row of heads by rotary positions in place: value i of each
// head with value i+len(cos), by the angle whose cosine and sine are given.
func Rotate(x []float32, heads, headDim int, cos, sin []float32, inverse bool) {
	half := len(cos)
	if len(x) < heads*headDim || 2*half > headDim || len(sin) < half {
		panic("kernel: rotation does not fit its heads")
	}
	sign := float32(1)
	if inverse {
		sign = -1
	}
	for h := range heads {
		a, b := x[h*headDim:h*headDim+half], x[h*headDim+half:h*headDim+2*half]
		for i, c := range cos {
			s := sign * sin[i]
			u, v := a[i], b[i]
			a[i] = u*c - v*s
			b[i] = v*c + u*s
		}
	}
}

// AdamW updates p, m, v by the gradient g in PyTorch's order of operations.
func AdamW(p, g, m, v []float32, lr, beta1, beta2, eps, decay, correction1, correction2 float32) {
	if len(g) < len(p) || len(m) < len(p) || len(v) < len(p) {
		panic("kernel: optimiser step of unequal lengths")
	}
	step := float32(float64(lr) / float64(correction1))
	root := float32(math.Sqrt(float64(correction2)))
	keep := 1 - lr*decay
	for i, d := range g[:len(p)] {
		m[i] += (d - m[i]) * (1 - beta1)
		v[i] = v[i]*beta2 + d*d*(1-beta2)
		denom := float32(math.Sqrt(float64(v[i])))/root + eps
		p[i] = p[i]*keep - step*(m[i]/denom)
	}
}
