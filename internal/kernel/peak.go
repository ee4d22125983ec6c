package kernel

// Peak runs turns of twelve independent multiply-add instructions on
// registers at the level in use and returns the floating-point operations
// done: float32, or bfloat16 pairs where the machine has them. It is the
// ceiling that products are measured against.
func Peak(turns int, bf16 bool) (flops float64) { return peak(turns, bf16) }

// ReadBandwidth sums a slice as fast as one thread can read it and returns
// the sum.
func ReadBandwidth(x []float32) float64 { return SumSquares(x) }
