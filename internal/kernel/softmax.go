package kernel

import "math"

// paddedInf copies up to 15 values to a block and fills the rest with -Inf, whose
// exponential is zero.
func paddedInf(block *[16]float32, x []float32) {
	for i := copy(block[:], x); i < len(block); i++ {
		block[i] = float32(math.Inf(-1))
	}
}

// ExpSum returns Σ e^(x-shift), summed in float64. Terms below 2⁻¹²⁶ count as
// zero. A NaN makes the sum NaN.
func ExpSum(x []float32, shift float32) float64 {
	n := len(x) &^ 15
	sum := 0.0
	if n > 0 {
		sum = expSumBlocks(x[:n], shift)
	}
	if n < len(x) {
		var last [16]float32
		paddedInf(&last, x[n:])
		sum += expSumBlocks(last[:], shift)
	}
	return sum
}

// SoftmaxExp replaces each x by e^(x-shift) and returns their sum as ExpSum does.
func SoftmaxExp(x []float32, shift float32) float64 {
	n := len(x) &^ 15
	sum := 0.0
	if n > 0 {
		sum = expShiftBlocks(x[:n], shift)
	}
	if n < len(x) {
		var last [16]float32
		paddedInf(&last, x[n:])
		sum += expShiftBlocks(last[:], shift)
		copy(x[n:], last[:])
	}
	return sum
}

// LogSumExp returns log Σ e^x, which is -Inf for an empty slice.
func LogSumExp(x []float32) float64 {
	m := Max(x)
	if math.IsInf(float64(m), -1) && !anyNaN(x) {
		return float64(m)
	}
	return float64(m) + math.Log(ExpSum(x, m))
}

func anyNaN(x []float32) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// inverse returns 1/c, or 0 if there is no cap (c is 0).
func inverse(c float32) float32 {
	if c > 0 {
		return 1 / c
	}
	return 0
}

// LossGradient replaces the logits x by scale times the derivative of their
// log-sum-exp lse with respect to the uncapped logits:
// scale·e^(x-lse)·(1-(x/softcap)²). softcap is the cap that x has been through, 0
// if none. The logits must be finite.
func LossGradient(x []float32, lse, scale, softcap float32) {
	n, inv := len(x)&^15, inverse(softcap)
	if n > 0 {
		lossGradientBlocks(x[:n], lse, scale, inv)
	}
	if n < len(x) {
		var last [16]float32
		copy(last[:], x[n:])
		lossGradientBlocks(last[:], lse, scale, inv)
		copy(x[n:], last[:])
	}
}

// SoftmaxBackward replaces the scores p by probabilities P = e^(p-lse), and the
// gradient ds of P by the gradient of the uncapped scores:
// (ds-dot)·(1-(p/softcap)²)·P. softcap is the cap that p has been through, 0 if
// none. The scores must be finite.
func SoftmaxBackward(p, ds []float32, lse, dot, softcap float32) {
	if len(ds) < len(p) {
		panic("kernel: softmax gradient of slices of different lengths")
	}
	n, inv := len(p)&^15, inverse(softcap)
	if n > 0 {
		softmaxBackwardBlocks(p[:n], ds[:n], lse, dot, inv)
	}
	if n < len(p) {
		var last [2][16]float32
		copy(last[0][:], p[n:])
		copy(last[1][:], ds[n:len(p)])
		softmaxBackwardBlocks(last[0][:], last[1][:], lse, dot, inv)
		copy(p[n:], last[0][:])
		copy(ds[n:len(p)], last[1][:])
	}
}
