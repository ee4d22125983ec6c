package cpu

import (
	"math"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// logitBudget bounds the logits that exist at once, in values (256 MiB).
const logitBudget = 64 << 20

// chunks calls f with the logits, soft-capped, of blocks of rows of h.
func (d *Device) chunks(h tensor.Tensor, w tensor.Weight, softcap float32, f func(lo, hi int, logits tensor.Tensor)) {
	n, _ := w.Dims()
	step := kernel.Rows()
	rows := max(logitBudget/max(n, 1)/step*step, step)
	rows = min(rows, 512, max(h.Rows, 1))
	buffer := d.Alloc(rows, n)
	defer d.Free(buffer)
	for lo := 0; lo < h.Rows; lo += rows {
		hi := min(lo+rows, h.Rows)
		logits := buffer.Slice(0, hi-lo)
		d.MatMul(logits, h.Slice(lo, hi), w, tensor.Tensor{}, false)
		if softcap > 0 {
			d.Softcap(logits, softcap)
		}
		f(lo, hi, logits)
	}
}

// eachRow runs f over rows.
func (d *Device) eachRow(rows int, f func(i int)) {
	d.pool.For(rows, 1, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// CrossEntropy implements tensor.Device.
func (d *Device) CrossEntropy(nll []float32, dh, h tensor.Tensor, w tensor.Weight, targets []int32, softcap, scale float32) {
	n, _ := w.Dims()
	checkTargets(targets, h.Rows, n, len(nll))
	d.chunks(h, w, softcap, func(lo, hi int, logits tensor.Tensor) {
		d.eachRow(hi-lo, func(i int) {
			row, target := logits.Row(i), targets[lo+i]
			lse := kernel.LogSumExp(row)
			logit := row[target]
			nll[lo+i] = float32(lse - float64(logit))
			if dh.None() {
				return
			}
			kernel.LossGradient(row, float32(lse), scale, softcap)
			g := scale
			if softcap > 0 {
				at := logit / softcap
				g *= 1 - at*at
			}
			row[target] -= g
		})
		if !dh.None() {
			d.MatMulT(dh.Slice(lo, hi), logits, w, false)
		}
	})
}

func checkTargets(targets []int32, rows, n, out int) {
	if len(targets) != rows || out != rows {
		panic("cpu: targets do not fit")
	}
	for _, t := range targets {
		if t < 0 || int(t) >= n {
			panic("cpu: target outside the vocabulary")
		}
	}
}

// LogProbs implements tensor.Device.
func (d *Device) LogProbs(logp []float32, greedy []bool, h tensor.Tensor, w tensor.Weight, targets []int32, softcap float32) {
	n, _ := w.Dims()
	checkTargets(targets, h.Rows, n, len(logp))
	d.chunks(h, w, softcap, func(lo, hi int, logits tensor.Tensor) {
		d.eachRow(hi-lo, func(i int) {
			row, target := logits.Row(i), targets[lo+i]
			logp[lo+i] = float32(float64(row[target]) - kernel.LogSumExp(row))
			greedy[lo+i] = topK(row, 1)[0] == target
		})
	})
}

// TopK implements tensor.Device.
func (d *Device) TopK(h tensor.Tensor, w tensor.Weight, k int, softcap float32, banned [][]int32) []tensor.Candidates {

	out := make([]tensor.Candidates, h.Rows)
	d.chunks(h, w, softcap, func(lo, hi int, logits tensor.Tensor) {
		d.eachRow(hi-lo, func(i int) {
			row := logits.Row(i)
			lse := kernel.LogSumExp(row)
			if banned != nil {
				for _, t := range banned[lo+i] {
					row[t] = float32(math.Inf(-1))
				}
			}
			tokens := topK(row, k)
			c := tensor.Candidates{Tokens: tokens, LogP: make([]float32, len(tokens))}
			for j, t := range tokens {
				c.LogP[j] = float32(float64(row[t]) - lse)
			}
			out[lo+i] = c
		})
	})
	return out
}

// topK returns the indices of the k largest values, largest first, the lower
// index first among equals, in one pass over a sorted short list.
func topK(x []float32, k int) []int32 {
	k = min(k, len(x))
	best := make([]int32, 0, k)
	if k == 0 {
		return best
	}
	for i, v := range x {
		if len(best) == k && !(v > x[best[k-1]]) {
			continue
		}
		if len(best) < k {
			best = append(best, 0)
		}
		j := len(best) - 1
		for j > 0 && v > x[best[j-1]] {
			best[j] = best[j-1]
			j--
		}
		best[j] = int32(i)
	}
	return best
}
