package main

import "math"

const (
	geluA = 0.7978845608028654 // √(2/π)
	geluB = 0.044715
)

// activation is a function of one value. body reads v in register 12 and leaves
// act(v) in register 2 and, with slope, act'(v) in register 3. Registers 0 to 11
// are scratch.
type activation struct {
	name string
	body func(f *file, w width, slope bool)
}

// activations writes four kernels for each activation: dst = act(x),
// dx = dy·act'(x), dst = act(gate)·up, and the gradients of the latter.
func activations() *file {
	f := newFile("activations")
	for _, w := range []width{w512, w256} {
		k := kernel{f: f, w: w, ptrs: []string{"dst", "x"}}
		k.write("erf", "sets dst[i] = erf(x[i])", nil, func(i int) {
			k.op("VMOVUPS", k.at("x", i), 12)
			erf(f, w)
			k.op("VMOVUPS", 2, k.at("dst", i))
		}, nil)
		for _, a := range []activation{{"geluTanh", geluTanh}, {"geluErf", geluErf}, {"silu", silu}, {"relu", relu}} {
			a.write(f, w)
		}
	}
	return f
}

// write writes the four kernels of an activation.
func (a activation) write(f *file, w width) {
	k := kernel{f: f, w: w, ptrs: []string{"dst", "x"}}
	k.write(a.name, "sets dst[i] = "+a.name+"(x[i])", nil, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 12)
		a.body(f, w, false)
		k.op("VMOVUPS", 2, k.at("dst", i))
	}, nil)

	k.ptrs = []string{"dx", "dy", "x"}
	k.write(a.name+"Backward", "sets dx[i] = dy[i]·"+a.name+"'(x[i])", nil, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 12)
		a.body(f, w, true)
		k.op("VMULPS", k.at("dy", i), 3, 3)
		k.op("VMOVUPS", 3, k.at("dx", i))
	}, nil)

	k.ptrs = []string{"dst", "gate", "up"}
	k.write(a.name+"Gate", "sets dst[i] = "+a.name+"(gate[i])·up[i]", nil, func(i int) {
		k.op("VMOVUPS", k.at("gate", i), 12)
		a.body(f, w, false)
		k.op("VMULPS", k.at("up", i), 2, 2)
		k.op("VMOVUPS", 2, k.at("dst", i))
	}, nil)

	k.ptrs = []string{"dgate", "dup", "dy", "gate", "up"}
	k.write(a.name+"GateBackward", "sets dgate[i] = dy[i]·up[i]·"+a.name+"'(gate[i]) and dup[i] = dy[i]·"+a.name+"(gate[i])", nil,
		func(i int) {
			k.op("VMOVUPS", k.at("gate", i), 12)
			a.body(f, w, true)
			k.op("VMOVUPS", k.at("dy", i), 4)
			k.op("VMULPS", 4, 2, 2)
			k.op("VMULPS", 4, 3, 3)
			k.op("VMULPS", k.at("up", i), 3, 3)
			k.op("VMOVUPS", 3, k.at("dgate", i))
			k.op("VMOVUPS", 2, k.at("dup", i))
		}, nil)
}

// geluTanh computes v·s and s + 2v·s(1-s)·√(2/π)(1+3·0.044715v²), where
// u = √(2/π)(v+0.044715v³) and s = 1/(1+e^(-2u)) = ½(1+tanh u). For squares v is
// clamped to ±10⁶, so that they are finite; s is 0 or 1 long before. NaN passes.
func geluTanh(f *file, w width, slope bool) {
	w.load(f, 1e6, 0)
	f.op("VMINPS %s, %s, %s", w.r(12), w.r(0), w.r(0))
	w.load(f, -1e6, 5)
	f.op("VMAXPS %s, %s, %s", w.r(0), w.r(5), w.r(5))
	f.op("VMULPS %s, %s, %s", w.r(5), w.r(5), w.r(4)) // v²
	w.load(f, -2*geluA*geluB, 0)
	w.load(f, -2*geluA, 1)
	f.op("VFMADD213PS %s, %s, %s", w.r(1), w.r(4), w.r(0))
	f.op("VMULPS %s, %s, %s", w.r(5), w.r(0), w.r(0)) // -2u
	exp(f, w, 0, 1, 2, 3)
	w.load(f, 1, 1)
	f.op("VADDPS %s, %s, %s", w.r(1), w.r(0), w.r(0))
	f.op("VDIVPS %s, %s, %s", w.r(0), w.r(1), w.r(3)) // s
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(3), w.r(2))
	if !slope {
		return
	}
	f.op("VSUBPS %s, %s, %s", w.r(3), w.r(1), w.r(0)) // 1-s
	f.op("VMULPS %s, %s, %s", w.r(3), w.r(0), w.r(0))
	f.op("VMULPS %s, %s, %s", w.r(5), w.r(0), w.r(0)) // v·s(1-s)
	w.load(f, 2*3*geluB*geluA, 5)
	w.load(f, 2*geluA, 6)
	f.op("VFMADD213PS %s, %s, %s", w.r(6), w.r(5), w.r(4)) // 2√(2/π)(1+3b·v²)
	f.op("VFMADD231PS %s, %s, %s", w.r(4), w.r(0), w.r(3))
}

// complement reads z in register 5 and z² in register 0. It leaves e^(-z²) in
// register 0 and erfc(z) = t·P(t)·e^(-z²) in register 4, with t = 1/(1+0.37z),
// the form of Abramowitz and Stegun 7.1.26. P of degree 8 is a fit with relative
// error 2·10⁻⁸ for z up to 9.5. Beyond that erfc is below the normal float32 values.
func complement(f *file, w width) {
	w.loadBits(f, 0x80000000, 1)
	w.or(f, 1, 0, 0) // -z²
	exp(f, w, 0, 1, 2, 3)
	w.load(f, 1, 1)
	w.load(f, 0.37, 2)
	f.op("VFMADD213PS %s, %s, %s", w.r(1), w.r(2), w.r(5))
	f.op("VDIVPS %s, %s, %s", w.r(5), w.r(1), w.r(5)) // t
	w.polynomial(f, 5, 4, 0.06269189715385437, -0.30683383345603943, 0.49383363127708435, -0.2928963601589203, 0.31576260924339294,
		0.10452099144458771, 0.20673826336860657, 0.20736545324325562, 0.20881734788417816)
	f.op("VMULPS %s, %s, %s", w.r(5), w.r(4), w.r(4))
	f.op("VMULPS %s, %s, %s", w.r(0), w.r(4), w.r(4))
}

// erf leaves erf(v) of register 12 in register 2: 1-erfc|v| with the sign of v.
func erf(f *file, w width) {
	w.loadBits(f, 0x7fffffff, 1)
	w.and(f, 1, 12, 5)
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(12), w.r(0))
	complement(f, w)
	w.load(f, 1, 1)
	f.op("VSUBPS %s, %s, %s", w.r(4), w.r(1), w.r(2))
	w.loadBits(f, 0x80000000, 1)
	w.and(f, 1, 12, 1)
	w.or(f, 1, 2, 2)
}

// geluErf computes v·Φ and Φ + v·φ, with Φ = ½erfc(-v/√2) and φ = e^(-v²/2)/√(2π).
func geluErf(f *file, w width, slope bool) {
	w.loadBits(f, 0x7fffffff, 1)
	w.and(f, 1, 12, 5)
	w.load(f, math.Sqrt2/2, 1)
	f.op("VMULPS %s, %s, %s", w.r(1), w.r(5), w.r(5))
	w.load(f, 0.5, 1)
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(1), w.r(0))
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(0), w.r(0)) // v²/2
	complement(f, w)
	w.load(f, 0.5, 1)
	f.op("VMULPS %s, %s, %s", w.r(1), w.r(4), w.r(4)) // Φ(-|v|)
	w.load(f, 1, 2)
	f.op("VSUBPS %s, %s, %s", w.r(4), w.r(2), w.r(3)) // Φ(|v|)
	if w.n == 16 {
		f.op("VPMOVD2M %s, K1", w.r(12)) // v < 0
		f.op("VMOVAPS %s, K1, %s", w.r(4), w.r(3))
	} else {
		f.op("VBLENDVPS %s, %s, %s, %s", w.r(12), w.r(4), w.r(3), w.r(3))
	}
	f.op("VMULPS %s, %s, %s", w.r(12), w.r(3), w.r(2))
	if slope {
		w.load(f, 1/math.Sqrt(2*math.Pi), 1)
		f.op("VMULPS %s, %s, %s", w.r(12), w.r(1), w.r(1))
		f.op("VFMADD231PS %s, %s, %s", w.r(1), w.r(0), w.r(3))
	}
}

// silu computes v·s and s(1+v(1-s)), with s = 1/(1+e^(-v)).
func silu(f *file, w width, slope bool) {
	w.loadBits(f, 0x80000000, 1)
	if w.n == 16 {
		f.op("VPXORD %s, %s, %s", w.r(1), w.r(12), w.r(0))
	} else {
		f.op("VXORPS %s, %s, %s", w.r(1), w.r(12), w.r(0))
	}
	exp(f, w, 0, 1, 2, 3)
	w.load(f, 1, 1)
	f.op("VADDPS %s, %s, %s", w.r(1), w.r(0), w.r(0))
	f.op("VDIVPS %s, %s, %s", w.r(0), w.r(12), w.r(2))
	if slope {
		f.op("VDIVPS %s, %s, %s", w.r(0), w.r(1), w.r(0))       // s
		f.op("VSUBPS %s, %s, %s", w.r(0), w.r(1), w.r(3))       // 1-s
		f.op("VFMADD213PS %s, %s, %s", w.r(1), w.r(12), w.r(3)) // 1+v(1-s)
		f.op("VMULPS %s, %s, %s", w.r(0), w.r(3), w.r(3))
	}
}

// relu computes max(0, v), which is NaN for NaN, and 1 where v > 0.
func relu(f *file, w width, slope bool) {
	w.clear(f, 0)
	f.op("VMAXPS %s, %s, %s", w.r(12), w.r(0), w.r(2))
	if !slope {
		return
	}
	w.load(f, 1, 1)
	if w.n == 16 {
		f.op("VCMPPS $14, %s, %s, K1", w.r(0), w.r(12))
		w.clear(f, 3)
		f.op("VMOVAPS %s, K1, %s", w.r(1), w.r(3))
	} else {
		f.op("VCMPPS $14, %s, %s, %s", w.r(0), w.r(12), w.r(3))
		w.and(f, 1, 3, 3)
	}
}
