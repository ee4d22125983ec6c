package main

import "fmt"

// rows writes the passes over rows of values: maxima, sums of exponentials, norms,
// rotations and the optimiser.
func rows() *file {
	f := newFile("rows")
	for _, w := range []width{w512, w256} {
		elementwise(f, w)
		softmax(f, w)
		norms(f, w)
		adamW(f, w)
	}
	return f
}

// elementwise writes scaling, capping, plain sums and rotations.
func elementwise(f *file, w width) {
	k := kernel{f: f, w: w, ptrs: []string{"y", "x"}, scalars: []string{"a"}}
	k.write("scale", "sets y[i] = a·x[i]", nil, func(i int) {
		k.op("VMULPS", k.at("x", i), k.scalar("a"), 0)
		k.op("VMOVUPS", 0, k.at("y", i))
	}, nil)

	k = kernel{f: f, w: w, ptrs: []string{"x"}, scalars: []string{"c"}}
	k.write("softcap", "sets x[i] = c·tanh(x[i]/c)", nil, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 0)
		k.op("VDIVPS", k.scalar("c"), 0, 0)
		tanh(f, w, 0)
		k.op("VMULPS", k.scalar("c"), 0, 0)
		k.op("VMOVUPS", 0, k.at("x", i))
	}, nil)

	k = kernel{f: f, w: w, ptrs: []string{"x"}, result: "float64"}
	k.write("sum", "returns Σ x[i] in float64", k.clear2(8), func(i int) {
		k.op("VMOVUPS", k.at("x", i), 2)
		k.widen(2, 8, 3)
	}, func() { k.collect(8) })

	k = kernel{f: f, w: w, ptrs: []string{"a", "b"}, result: "float64"}
	k.write("dot64", "returns Σ a[i]·b[i], the products in float32 and the sum in float64", k.clear2(8), func(i int) {
		k.op("VMOVUPS", k.at("a", i), 2)
		k.op("VMULPS", k.at("b", i), 2, 2)
		k.widen(2, 8, 3)
	}, func() { k.collect(8) })

	k = kernel{f: f, w: w, ptrs: []string{"a", "b", "cos", "sin"}, scalars: []string{"sign"}}
	k.write("rotate", "sets a' = a·cos - sign·b·sin and b' = b·cos + sign·a·sin", nil, func(i int) {
		k.op("VMOVUPS", k.at("a", i), 0)
		k.op("VMOVUPS", k.at("b", i), 1)
		k.op("VMOVUPS", k.at("cos", i), 2)
		k.op("VMULPS", k.at("sin", i), k.scalar("sign"), 3)
		k.op("VMULPS", 3, 1, 4)
		k.op("VMULPS", 3, 0, 5)
		k.op("VFMSUB231PS", 2, 0, 4) // a·cos - b·sin
		k.op("VFMADD231PS", 2, 1, 5)
		k.op("VMOVUPS", 4, k.at("a", i))
		k.op("VMOVUPS", 5, k.at("b", i))
	}, nil)
}

// softmax writes the largest value, exponentials and their sums, and gradients.
// Callers must handle NaN: the maximum ignores it, and the sums become NaN.
func softmax(f *file, w width) {
	k := kernel{f: f, w: w, ptrs: []string{"x"}, result: "float32"}
	k.write("max", "returns the largest value that is not NaN, or -Inf", func() {
		for i := range 16 / w.n {
			w.loadBits(f, 0xff800000, i)
		}
	}, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 2)
		k.op("VMAXPS", i, 2, i) // the second operand, i, if one is NaN
	}, func() {
		if w.n == 16 {
			f.op("VEXTRACTF64X4 $1, Z0, Y1")
		}
		f.op("VMAXPS Y1, Y0, Y0")
		f.op("VEXTRACTF128 $1, Y0, X1")
		f.op("VMAXPS X1, X0, X0")
		f.op("VPERMILPS $0x4e, X0, X1")
		f.op("VMAXPS X1, X0, X0")
		f.op("VPERMILPS $0xb1, X0, X1")
		f.op("VMAXPS X1, X0, X0")
	})

	// expShift leaves the terms of the sum in x.
	k = kernel{f: f, w: w, ptrs: []string{"x"}, scalars: []string{"shift"}, result: "float64"}
	for _, name := range []string{"expSum", "expShift"} {
		does := "returns Σ e^(x[i]-shift) in float64"
		if name == "expShift" {
			does = "sets x[i] = e^(x[i]-shift) and returns their sum in float64"
		}
		k.write(name, does, k.clear2(4), func(i int) {
			k.op("VMOVUPS", k.at("x", i), 0)
			k.op("VSUBPS", k.scalar("shift"), 0, 0)
			exp(f, w, 0, 1, 2, 3)
			if name == "expShift" {
				k.op("VMOVUPS", 0, k.at("x", i))
			}
			k.widen(0, 4, 1)
		}, func() { k.collect(4) })
	}

	// factor leaves 1-(s·inv)², for s in a register, in register t.
	factor := func(s, t, one int) {
		k.op("VMULPS", k.scalar("inv"), s, t)
		w.load(f, 1, one)
		k.op("VFNMADD213PS", one, t, t)
	}
	k = kernel{f: f, w: w, ptrs: []string{"x"}, scalars: []string{"shift", "scale", "inv"}}
	k.write("lossGradient", "sets x[i] = scale·e^(x[i]-shift)·(1-(x[i]·inv)²)", nil, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 0)
		factor(0, 4, 5)
		k.op("VMULPS", k.scalar("scale"), 4, 4)
		k.op("VSUBPS", k.scalar("shift"), 0, 0)
		exp(f, w, 0, 1, 2, 3)
		k.op("VMULPS", 4, 0, 0)
		k.op("VMOVUPS", 0, k.at("x", i))
	}, nil)

	k = kernel{f: f, w: w, ptrs: []string{"p", "ds"}, scalars: []string{"shift", "d", "inv"}}
	k.write("softmaxBackward", "sets ds[i] = (ds[i]-d)·(1-(p[i]·inv)²)·e^(p[i]-shift) and p[i] = e^(p[i]-shift)", nil, func(i int) {
		k.op("VMOVUPS", k.at("p", i), 0)
		factor(0, 4, 5)
		k.op("VSUBPS", k.scalar("shift"), 0, 0)
		exp(f, w, 0, 1, 2, 3)
		k.op("VMOVUPS", 0, k.at("p", i))
		k.op("VMOVUPS", k.at("ds", i), 1)
		k.op("VSUBPS", k.scalar("d"), 1, 1)
		k.op("VMULPS", 4, 1, 1)
		k.op("VMULPS", 0, 1, 1)
		k.op("VMOVUPS", 1, k.at("ds", i))
	}, nil)
}

// norms writes the RMS and layer norms and their gradients.
func norms(f *file, w width) {
	k := kernel{f: f, w: w, ptrs: []string{"y", "x", "w"}, scalars: []string{"rho", "one"}}
	k.write("normScale", "sets y[i] = x[i]·rho·(one+w[i])", nil, func(i int) {
		k.op("VMULPS", k.at("x", i), k.scalar("rho"), 0)
		k.op("VADDPS", k.at("w", i), k.scalar("one"), 1)
		k.op("VMULPS", 1, 0, 0)
		k.op("VMOVUPS", 0, k.at("y", i))
	}, nil)

	k = kernel{f: f, w: w, ptrs: []string{"y", "x", "w", "b"}, scalars: []string{"mean", "rho"}}
	k.write("layerScale", "sets y[i] = (x[i]-mean)·rho·w[i] + b[i]", nil, func(i int) {
		k.op("VMOVUPS", k.at("x", i), 0)
		k.op("VSUBPS", k.scalar("mean"), 0, 0)
		k.op("VMULPS", k.scalar("rho"), 0, 0)
		k.op("VMOVUPS", k.at("b", i), 1)
		k.op("VFMADD132PS", k.at("w", i), 1, 0) // 0·w + 1
		k.op("VMOVUPS", 0, k.at("y", i))
	}, nil)

	k = kernel{f: f, w: w, ptrs: []string{"dy", "w", "x"}, scalars: []string{"one"}, result: "float64"}
	half := "X"
	if w.n == 16 {
		half = "Y"
	}
	k.write("normDot", "returns Σ dy[i]·(one+w[i])·x[i], the last product and the sum in float64", k.clear2(8), func(i int) {
		k.op("VADDPS", k.at("w", i), k.scalar("one"), 0)
		k.op("VMULPS", k.at("dy", i), 0, 0)
		k.op("VMOVUPS", k.at("x", i), 1)
		for j := range 2 {
			g, x := fmt.Sprintf("%s%d", half, 2), fmt.Sprintf("%s%d", half, 3)
			extract := "VEXTRACTF128"
			if w.n == 16 {
				extract = "VEXTRACTF64X4"
			}
			k.op(extract, fmt.Sprintf("$%d", j), 0, g)
			k.op(extract, fmt.Sprintf("$%d", j), 1, x)
			k.op("VCVTPS2PD", g, 2)
			k.op("VCVTPS2PD", x, 3)
			k.op("VFMADD231PD", 3, 2, 8+j)
		}
	}, func() { k.collect(8) })

	k = kernel{f: f, w: w, ptrs: []string{"dx", "dy", "w", "x"}, scalars: []string{"rho", "one", "c", "keep"}}
	k.write("normBackward", "sets dx[i] = dy[i]·(one+w[i])·rho - x[i]·c + the bits of dx[i] in keep", nil, func(i int) {
		k.op("VMOVUPS", k.at("dx", i), 3)
		w.logic(f, "VPANDD", "VANDPS", 12, 3, 3)
		k.op("VADDPS", k.at("w", i), k.scalar("one"), 0)
		k.op("VMULPS", k.at("dy", i), 0, 0)
		k.op("VMULPS", k.scalar("rho"), 0, 0)
		k.op("VMOVUPS", k.at("x", i), 1)
		k.op("VFNMADD231PS", k.scalar("c"), 1, 0)
		k.op("VADDPS", 3, 0, 0)
		k.op("VMOVUPS", 0, k.at("dx", i))
	}, nil)

	// The caller passes the mean of g∘x̂ times rho as mgx.
	k = kernel{f: f, w: w, ptrs: []string{"dx", "dy", "w", "x"}, scalars: []string{"mean", "rho", "mg", "keep", "mgx"}}
	k.write("layerBackward", "sets dx[i] = rho·(dy[i]·w[i] - mg - (x[i]-mean)·mgx) + the bits of dx[i] in keep", nil, func(i int) {
		k.op("VMOVUPS", k.at("dx", i), 3)
		w.logic(f, "VPANDD", "VANDPS", 12, 3, 3)
		k.op("VMOVUPS", k.at("w", i), 0)
		k.op("VMULPS", k.at("dy", i), 0, 0)
		k.op("VSUBPS", k.scalar("mg"), 0, 0)
		k.op("VMOVUPS", k.at("x", i), 1)
		k.op("VSUBPS", k.scalar("mean"), 1, 1)
		k.op("VFNMADD231PS", k.scalar("mgx"), 1, 0)
		k.op("VMULPS", k.scalar("rho"), 0, 0)
		k.op("VADDPS", 3, 0, 0)
		k.op("VMOVUPS", 0, k.at("dx", i))
	}, nil)
}

// adamW writes one step of the optimiser.
func adamW(f *file, w width) {
	k := kernel{f: f, w: w, ptrs: []string{"p", "grad", "m", "v"}, scalars: []string{"a1", "beta2", "a2", "root", "eps", "keep", "step"}}
	k.write("adamW", "updates p, m and v by grad: m += (grad-m)·a1, v = v·beta2 + grad²·a2, p = p·keep - step·m/(√v/root+eps)", nil,
		func(i int) {
			k.op("VMOVUPS", k.at("grad", i), 0)
			k.op("VMOVUPS", k.at("m", i), 1)
			k.op("VSUBPS", 1, 0, 2)
			k.op("VFMADD231PS", k.scalar("a1"), 2, 1)
			k.op("VMOVUPS", 1, k.at("m", i))
			k.op("VMULPS", k.at("v", i), k.scalar("beta2"), 3)
			k.op("VMULPS", 0, 0, 0)
			k.op("VFMADD231PS", k.scalar("a2"), 0, 3)
			k.op("VMOVUPS", 3, k.at("v", i))
			k.op("VSQRTPS", 3, 3)
			k.op("VDIVPS", k.scalar("root"), 3, 3)
			k.op("VADDPS", k.scalar("eps"), 3, 3)
			k.op("VDIVPS", 3, 1, 1)
			k.op("VMULPS", k.at("p", i), k.scalar("keep"), 0)
			k.op("VFNMADD231PS", k.scalar("step"), 1, 0)
			k.op("VMOVUPS", 0, k.at("p", i))
		}, nil)
}
