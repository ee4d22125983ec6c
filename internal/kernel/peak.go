package kernel

import "barka/internal/dtype"

// Peak runs turns of twelve independent multiply-add instructions on
// registers at the level in use and returns the operations done: on float32,
// on bfloat16 (float32 where the machine has no such products) or on 8-bit
// integers. It is the ceiling that products are measured against.
func Peak(turns int, dt dtype.DType) (operations float64) { return peak(turns, dt) }

// ReadBandwidth sums a slice as fast as one thread can read it and returns
// the sum.
func ReadBandwidth(x []float32) float64 { return SumSquares(x) }
