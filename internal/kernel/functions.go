package kernel

// Exp: dst[i] = e^x[i], within 2 units in the last place; results below
// 2⁻¹²⁶ are 0, NaN stays NaN. dst may be x.
func Exp(dst, x []float32) { apply(exp, dst, x) }

// Tanh: dst[i] = tanh x[i], within 5 units in the last place. dst may be x.
func Tanh(dst, x []float32) { apply(tanh, dst, x) }

// Erf: dst[i] = erf x[i], within 4·10⁻⁷. dst may be x.
func Erf(dst, x []float32) { apply(erf, dst, x) }

// function is a function of one value.
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

// apply runs f on blocks of 16 values, the last one through a buffer, so that
// a value's result does not depend on where it stands.
func apply(f function, dst, x []float32) {
	if len(dst) < len(x) {
		panic("kernel: function of unequal lengths")
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

// applyBlocks is a switch, not a table, so that buffers stay on the stack.
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

// Softcap: x[i] = c·tanh(x[i]/c), in place, within 6 units in the last place.
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
