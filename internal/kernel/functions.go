package kernel

// Exp sets dst[i] = e^x[i], within 2 units in the last place. Results below 2⁻¹²⁶
// are 0, and NaN stays NaN. dst may be x.
func Exp(dst, x []float32) { apply(exp, dst, x) }

// Tanh sets dst[i] = tanh x[i], within 5 units in the last place. dst may be x.
func Tanh(dst, x []float32) { apply(tanh, dst, x) }

// Erf sets dst[i] = erf x[i], within 4·10⁻⁷. dst may be x.
func Erf(dst, x []float32) { apply(erf, dst, x) }

// function names a function of one value.
type function int

const (
	exp function = iota
	tanh
	erf
	geluTanh
	geluErf
	silu
	relu
)

// apply runs f on blocks of 16 values. The last, incomplete block goes through a
// buffer, so that a value's result does not depend on its position.
func apply(f function, dst, x []float32) {
	if len(dst) < len(x) {
		panic("kernel: function on slices of different lengths")
	}
	n := len(x) &^ 15
	if n > 0 {
		applyBlocks(f, dst[:n], x[:n])
	}
	if n < len(x) {
		var buf [16]float32
		copy(buf[:], x[n:])
		applyBlocks(f, buf[:], buf[:])
		copy(dst[n:len(x)], buf[:])
	}
}

// applyBlocks runs f on whole blocks. It is a switch and not a table of functions,
// so that the buffers of apply stay on the stack.
func applyBlocks(f function, dst, x []float32) {
	switch f {
	case exp:
		expBlocks(dst, x)
	case tanh:
		tanhBlocks(dst, x)
	case erf:
		erfBlocks(dst, x)
	case geluTanh:
		geluTanhBlocks(dst, x)
	case geluErf:
		geluErfBlocks(dst, x)
	case silu:
		siluBlocks(dst, x)
	case relu:
		reluBlocks(dst, x)
	}
}

// Softcap sets x[i] = c·tanh(x[i]/c), within 6 units in the last place.
func Softcap(x []float32, c float32) {
	n := len(x) &^ 15
	if n > 0 {
		softcapBlocks(x[:n], c)
	}
	if n < len(x) {
		var last [16]float32
		copy(last[:], x[n:])
		softcapBlocks(last[:], c)
		copy(x[n:], last[:])
	}
}
