package kernel

import "math"

// This file has the plain loops of the kernels in _asm/rows.go. They run over the
// length of their first operand.

func scaleGeneric(y, x []float32, a float32) {
	for i := range y {
		y[i] = a * x[i]
	}
}

func softcapGeneric(x []float32, c float32) {
	for i, v := range x {
		x[i] = float32(math.Tanh(float64(v/c))) * c
	}
}

func sumGeneric(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}

func dot64Generic(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		sum += float64(float32(v * b[i]))
	}
	return sum
}

func rotateGeneric(a, b, cos, sin []float32, sign float32) {
	for i := range a {
		c := cos[i]
		s := sign * sin[i]
		u, v := a[i], b[i]
		a[i] = float32(u*c) - float32(v*s)
		b[i] = float32(v*c) + float32(u*s)
	}
}

func maxGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func expSumGeneric(x []float32, shift float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(expOf(v - shift))
	}
	return sum
}

func expShiftGeneric(x []float32, shift float32) float64 {
	var sum float64
	for i, v := range x {
		x[i] = expOf(v - shift)
		sum += float64(x[i])
	}
	return sum
}

func lossGradientGeneric(x []float32, shift, scale, inv float32) {
	for i, v := range x {
		t := v * inv
		x[i] = scale * (1 - float32(t*t)) * expOf(v-shift)
	}
}

func softmaxBackwardGeneric(p, ds []float32, shift, d, inv float32) {
	for i, s := range p {
		t := s * inv
		p[i] = expOf(s - shift)
		ds[i] = (ds[i] - d) * (1 - float32(t*t)) * p[i]
	}
}

func normScaleGeneric(y, x, w []float32, rho, one float32) {
	for i := range y {
		v := x[i]
		y[i] = v * rho * (one + w[i])
	}
}

func layerScaleGeneric(y, x, w, b []float32, mean, rho float32) {
	for i := range y {
		v := x[i]
		y[i] = float32((v-mean)*rho*w[i]) + b[i]
	}
}

func normDotGeneric(dy, w, x []float32, one float32) float64 {
	var dot float64
	for i := range dy {
		v := x[i]
		dot += float64(dy[i]*(one+w[i])) * float64(v)
	}
	return dot
}

// kept returns dx if all bits of keep are set, and 0 if none is.
func kept(dx, keep float32) float32 {
	return math.Float32frombits(math.Float32bits(dx) & math.Float32bits(keep))
}

func normBackwardGeneric(dx, dy, w, x []float32, rho, one, c, keep float32) {
	for i := range dx {
		v := x[i]
		dx[i] = float32(dy[i]*(one+w[i])*rho) - float32(v*c) + kept(dx[i], keep)
	}
}

func layerBackwardGeneric(dx, dy, w, x []float32, mean, rho, mg, keep, mgx float32) {
	for i := range dx {
		v := x[i]
		dx[i] = float32(rho*(float32(dy[i]*w[i])-mg-float32((v-mean)*mgx))) + kept(dx[i], keep)
	}
}

func adamWGeneric(p, g, m, v []float32, a1, beta2, a2, root, eps, keep, step float32) {
	for i := range p {
		d := g[i]
		m[i] += float32((d - m[i]) * a1)
		v[i] = float32(v[i]*beta2) + float32(d*d*a2)
		denom := float32(math.Sqrt(float64(v[i])))/root + eps
		p[i] = float32(p[i]*keep) - float32(step*(m[i]/denom))
	}
}
