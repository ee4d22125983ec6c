package kernel

// FiniteF32 reports whether no value is infinite or NaN: adding one to their
// exponent carries into the sign.
func FiniteF32(w []float32) bool { return noCarry(w, 0x7f800000, 0x00800000) }

// FiniteBF16 is FiniteF32 for words that hold two bfloat16 values each.
func FiniteBF16(w []float32) bool { return noCarry(w, 0x7f807f80, 0x00800080) }

func noCarry(w []float32, exponent, one uint32) bool {
	done, carry := carryBlocks(w, exponent, one)
	for _, x := range view32(w[done:]) {
		carry |= x&exponent + one
	}
	return carry&(one<<8) == 0
}
