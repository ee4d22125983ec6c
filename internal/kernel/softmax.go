package kernel

import "math"

// paddedInf copies up to 15 values to a block that -Inf fills up, whose
// exponentials are zero.
func paddedInf(block *[16]float32, x []float32) {
	for i := copy(block[:], x); i < len(block); i++ {
		block[i] = float32(math.Inf(-1))
	}
}

// ExpSum returns Σ e^(x-shift), added in float64; terms below 2⁻¹²⁶ count as
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

// SoftmaxExp replaces x by e^(x-shift) and returns their sum, as ExpSum.
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

// LogSumExp returns log Σ e^x; of nothing, -Inf.
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

// inverse is 1/c, or 0 for no cap.
func inverse(c float32) float32 {
	if c > 0 {
		return 1 / c
	}
	return 0
}

// LossGradient replaces logits x, capped by softcap (0: not), by scale times
// the derivative of their log-sum-exp lse by the uncapped logits:
// scale·e^(x-lse)·(1-(x/softcap)²). Logits are finite.
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

// SoftmaxBackward turns scores p, capped by softcap (0: not), into
// probabilities P = e^(p-lse) and ds, the gradient of P, into that of the
// uncapped scores: (ds-dot)·(1-(p/softcap)²)·P. Scores are finite.
func SoftmaxBackward(p, ds []float32, lse, dot, softcap float32) {
	if len(ds) < len(p) {
		panic("kernel: softmax of unequal lengths")
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
