package cpu

import (
	"math"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// queryBlock is the number of query rows of a task of Attend.
const queryBlock = 16

// task is a block of queries of one sequence and one key/value head.
type task struct{ seq, head, lo, hi int32 }

// Attend implements tensor.Device. A row's scores live in a worker's scratch
// while the row is computed; keys are walked in order of position.
func (d *Device) Attend(out, lse, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	checkAttention(q, k, v, a, l)
	sameShape(out, q)
	var tasks []task
	for s := range l.Past {
		for lo := l.Starts[s]; lo < l.Starts[s+1]; lo += queryBlock {
			for h := range a.KVHeads {
				tasks = append(tasks, task{int32(s), int32(h), lo, min(lo+queryBlock, l.Starts[s+1])})
			}
		}
	}
	group := a.Heads / a.KVHeads
	d.pool.For(len(tasks), 1, func(worker, from, to int) {
		for _, t := range tasks[from:to] {
			keys := l.Keys[t.seq]
			scores := grow(&d.workers[worker].scores, len(keys))
			for i := t.lo; i < t.hi; i++ {
				visible, _ := window(a, keys, int(l.Past[t.seq]+i-l.Starts[t.seq]))
				for h := int(t.head) * group; h < int(t.head+1)*group; h++ {
					at := h * a.HeadDim
					total := attendRow(out.Row(int(i))[at:at+a.HeadDim], q.Row(int(i))[at:at+a.HeadDim],
						k, v, a, visible, int(t.head)*a.HeadDim, scores)
					if !lse.None() {
						lse.Row(int(i))[h] = total
					}
				}
			}
		}
	})
}

func checkAttention(q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	sameShape(k, v)
	n := len(l.Past)
	if a.KVHeads <= 0 || a.Heads%a.KVHeads != 0 || q.Cols != a.Heads*a.HeadDim || k.Cols != a.KVHeads*a.HeadDim ||
		len(l.Starts) != n+1 || len(l.Keys) != n || int(l.Starts[n]) != q.Rows {
		panic("cpu: attention of shapes that do not fit")
	}
}

// window returns the keys that the query at a position sees and the position
// of the first of them.
func window(a tensor.Attention, keys []int32, position int) ([]int32, int) {
	lo, hi := 0, len(keys)
	if a.Causal {
		hi = min(hi, position+1)
	}
	if a.Window > 0 {
		lo = min(max(lo, position-a.Window+1), hi)
	}
	return keys[lo:hi], lo
}

// attendRow computes one query of one head and returns the log-sum-exp of
// its scores.
func attendRow(out, q []float32, k, v tensor.Tensor, a tensor.Attention, keys []int32, off int, scores []float32) float32 {
	clear(out)
	if len(keys) == 0 {
		return float32(math.Inf(-1))
	}
	p := scores[:len(keys)]
	kernel.Scores(p, q, k.Data, keys, k.Cols, off, a.Scale)
	if a.Softcap > 0 {
		kernel.Softcap(p, a.Softcap)
	}
	top := kernel.Max(p)
	sum := kernel.SoftmaxExp(p, top)
	kernel.Scale(float32(1/sum), p)
	kernel.WeightedSum(out, p, v.Data, keys, v.Cols, off)
	return top + float32(math.Log(sum))
}

// AttendBackward implements tensor.Device: probabilities are recomputed row by
// row from lse, after Dao et al., "FlashAttention", 2022. A task owns the
// keys and values of one head of one sequence, so no two tasks write the same
// rows; the query heads of a group are summed in order.
func (d *Device) AttendBackward(dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	checkAttention(q, k, v, a, l)
	sameShape(dq, q)
	sameShape(dout, q)
	sameShape(dk, k)
	sameShape(dv, k)
	clear(dk.Data)
	clear(dv.Data)
	d.pool.For(len(l.Past)*a.KVHeads, 1, func(worker, from, to int) {
		for t := from; t < to; t++ {
			b := backward{dq: dq, dk: dk, dv: dv, dout: dout, out: out, lse: lse, q: q, k: k, v: v, a: a}
			b.run(l, t/a.KVHeads, t%a.KVHeads, &d.workers[worker])
		}
	})
}

// backward is AttendBackward for one sequence and key/value head.
type backward struct {
	dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor
	a                                   tensor.Attention
}

func (b *backward) run(l *tensor.Layout, s, head int, w *scratch) {
	keys := l.Keys[s]
	group := b.a.Heads / b.a.KVHeads
	p, ds := grow(&w.scores, len(keys)), grow(&w.grads, len(keys))
	for i := l.Starts[s]; i < l.Starts[s+1]; i++ {
		visible, _ := window(b.a, keys, int(l.Past[s]+i-l.Starts[s]))
		for h := head * group; h < (head+1)*group; h++ {
			b.row(int(i), h, head*b.a.HeadDim, visible, p[:len(visible)], ds[:len(visible)])
		}
	}
}

// row adds the gradients through one query of one head. With s the capped
// scores, P = e^(s-lse) and D = dout·out:
// ds = P∘(dout·v - D)∘(1-(s/c)²)·scale.
func (b *backward) row(i, h, off int, keys []int32, p, ds []float32) {
	at, hd := h*b.a.HeadDim, b.a.HeadDim
	q, dq := b.q.Row(i)[at:at+hd], b.dq.Row(i)[at:at+hd]
	out, dout := b.out.Row(i)[at:at+hd], b.dout.Row(i)[at:at+hd]
	clear(dq)
	if len(keys) == 0 {
		return
	}
	kernel.Scores(p, q, b.k.Data, keys, b.k.Cols, off, b.a.Scale)
	kernel.Scores(ds, dout, b.v.Data, keys, b.v.Cols, off, 1)
	if b.a.Softcap > 0 {
		kernel.Softcap(p, b.a.Softcap)
	}
	rowDot := kernel.Dot(dout, out)
	for j := range ds {
		ds[j] = (ds[j] - rowDot) * b.a.Scale
		if c := b.a.Softcap; c > 0 {
			ds[j] *= 1 - p[j]/c*(p[j]/c)
		}
		p[j] -= b.lse.Row(i)[h]
	}
	kernel.Exp(p, p)
	for j, r := range keys {
		ds[j] *= p[j]
		row := int(r)*b.k.Cols + off
		kernel.Axpy(ds[j], b.k.Data[row:row+hd], dq)
		kernel.Axpy(ds[j], q, b.dk.Data[row:row+hd])
		kernel.Axpy(p[j], dout, b.dv.Data[row:row+hd])
	}
}
