package kernel

// FiniteF32 reports whether all values are finite. The exponent of an infinity or
// NaN has all bits set: adding one to it carries into the sign bit.
func FiniteF32(w []float32) bool { return noCarry(w, 0x7f800000, 0x00800000) }

// FiniteBF16 is FiniteF32 for words that hold two bfloat16 values each.
func FiniteBF16(w []float32) bool { return noCarry(w, 0x7f807f80, 0x00800080) }

// noCarry reports whether adding one to the exponents carries into no sign bit.
func noCarry(w []float32, exponent, one uint32) bool {
	done, carry := carryBlocks(w, exponent, one)
	for _, x := range view32(w[done:]) {
		carry |= x&exponent + one
	}
	return carry&(one<<8) == 0
}
