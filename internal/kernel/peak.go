package kernel

import "barka/internal/dtype"

// Peak runs iterations of independent multiply-adds, 12 or 24, in registers at the level
// in use, and returns the number of operations. dt is F32, BF16 (float32
// where the machine has no bfloat16 products) or I8. Benchmarks report products as
// a share of this ceiling.
func Peak(iterations int, dt dtype.DType) (operations float64) { return peak(iterations, dt) }

// ReadBandwidth sums a slice as fast as one thread can read it and returns
// the sum.
func ReadBandwidth(x []float32) float64 { return SumSquares(x) }
