package cpu

import (
	"math"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// blockRows is about the number of score rows of a task: query rows times the
// heads that share a key/value head. It weighs gathering keys and values,
// once a task, against a block of scores that stays in the cache.
const blockRows = 96

// queries is a block of query rows of one key/value head. All see keys of the
// same list; their positions rise by one from row to row if the attention is
// causal, and do not matter otherwise.
type queries struct {
	keys     []int32
	head     int // of keys and values
	lo, hi   int // rows
	position int // of row lo
}

// Attend implements tensor.Device: scores of a block of queries with the keys
// they may see, softmax row by row, the weighted sum of values. Sums run over
// head width and keys in ascending order, and a key that a row does not see
// adds exactly nothing to it, so that a row's result is the same in any
// block, alone in decoding too.
func (d *Device) Attend(out, lse, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	checkAttention(q, k, v, a, l)
	sameShape(out, q)
	blocks := queryBlocks(a, l)
	d.pool.For(len(blocks), 1, func(worker, from, to int) {
		for _, b := range blocks[from:to] {
			t := tile{a: a, w: &d.workers[worker], queries: b}
			t.forward(out, lse, q, k, v)
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

// queryBlocks cuts the queries of a layout into blocks. Neighbouring
// sequences with the same list of keys, as the beams of a sentence have for
// its source, share blocks where positions do not matter.
func queryBlocks(a tensor.Attention, l *tensor.Layout) []queries {
	var blocks []queries
	rows := max(1, blockRows/(a.Heads/a.KVHeads))
	for s := 0; s < len(l.Past); {
		next := s + 1
		for !a.Causal && a.Window == 0 && next < len(l.Past) && sameList(l.Keys[s], l.Keys[next]) {
			next++
		}
		for lo := l.Starts[s]; lo < l.Starts[next]; lo += int32(rows) {
			for h := range a.KVHeads {
				blocks = append(blocks, queries{keys: l.Keys[s], head: h, lo: int(lo), hi: min(int(lo)+rows, int(l.Starts[next])),
					position: int(l.Past[s] + lo - l.Starts[s])})
			}
		}
		s = next
	}
	return blocks
}

func sameList(a, b []int32) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) || slices.Equal(a, b)
}

// tile computes one block of queries. Its matrices have one row for each
// query row and head of the group, the heads of a query together.
type tile struct {
	queries
	a tensor.Attention
	w *scratch
}

func (t *tile) group() int { return t.a.Heads / t.a.KVHeads }
func (t *tile) rows() int  { return (t.hi - t.lo) * t.group() }

// off is where the head's keys and values begin in their rows.
func (t *tile) off() int { return t.head * t.a.HeadDim }

// visible returns the range of keys that the query at a position sees.
func (t *tile) visible(position int) (lo, hi int) {
	hi = len(t.keys)
	if t.a.Causal {
		hi = min(hi, position+1)
	}
	if t.a.Window > 0 {
		lo = min(max(0, position-t.a.Window+1), hi)
	}
	return lo, hi
}

// span is the range of keys that any row of the block sees. It begins at a
// multiple of a panel, so that panels are the same for all blocks.
func (t *tile) span() (lo, hi int) {
	lo, _ = t.visible(t.position)
	_, hi = t.visible(t.position + t.hi - t.lo - 1)
	return min(lo/kernel.PanelN*kernel.PanelN, hi), hi
}

// gather copies the block's rows of the group's heads from x, times scale, to
// dst [rows, width].
func (t *tile) gather(dst []float32, x tensor.Tensor, scale float32) {
	width := t.group() * t.a.HeadDim
	for i := t.lo; i < t.hi; i++ {
		row := dst[(i-t.lo)*width : (i-t.lo+1)*width]
		copy(row, x.Row(i)[t.head*width:])
		if scale != 1 {
			kernel.Scale(scale, row)
		}
	}
}

// scatter is the inverse of gather without a scale.
func (t *tile) scatter(x tensor.Tensor, src []float32) {
	width := t.group() * t.a.HeadDim
	for i := t.lo; i < t.hi; i++ {
		copy(x.Row(i)[t.head*width:(t.head+1)*width], src[(i-t.lo)*width:])
	}
}

func (t *tile) forward(out, lse, q, k, v tensor.Tensor) {
	rows, width, w := t.rows(), t.a.HeadDim, t.w
	lo, hi := t.span()
	n := hi - lo
	x := grow(&w.x, rows*width)
	t.gather(x, q, t.a.Scale)
	s := grow(&w.scores, rows*n)
	t.products(s, x, k, lo, hi)
	for r := range rows {
		total := t.softmax(s[r*n:(r+1)*n], r, lo)
		if !lse.None() {
			lse.Row(t.lo + r/t.group())[t.head*t.group()+r%t.group()] = total
		}
	}
	t.combine(x, s, v, lo, hi)
	t.scatter(out, x)
}

// products writes x·kᵀ for the keys lo ≤ j < hi: dst [rows, hi-lo].
func (t *tile) products(dst, x []float32, k tensor.Tensor, lo, hi int) {
	rows, width, n := t.rows(), t.a.HeadDim, hi-lo
	packed := grow(&t.w.packed, rows*width)
	kernel.PackRowsF32(packed, x, width, rows, width)
	panel := grow(&t.w.panel, width*kernel.PanelN)
	for j := lo; j < hi; j += kernel.PanelN {
		cols := min(kernel.PanelN, hi-j)
		kernel.PackKeys(panel, k.Data, t.keys[j:j+cols], k.Cols, t.off(), width)
		kernel.PanelF32(dst[j-lo:], n, packed, rows, width, panel, cols, false)
	}
}

// softmax turns a row of scores, which begin at key lo, into probabilities,
// zero where the row does not see, and returns their log-sum-exp.
func (t *tile) softmax(row []float32, r, lo int) float32 {
	from, to := t.visible(t.position + r/t.group())
	clear(row[:from-lo])
	clear(row[to-lo:])
	p := row[from-lo : to-lo]
	if len(p) == 0 {
		return float32(math.Inf(-1))
	}
	if t.a.Softcap > 0 {
		kernel.Softcap(p, t.a.Softcap)
	}
	top := kernel.Max(p)
	sum := kernel.SoftmaxExp(p, top)
	kernel.Scale(float32(1/sum), p)
	return top + float32(math.Log(sum))
}

// combine writes p·v for the keys lo ≤ j < hi: dst [rows, width].
func (t *tile) combine(dst, p []float32, v tensor.Tensor, lo, hi int) {
	rows, width, n := t.rows(), t.a.HeadDim, hi-lo
	packed := grow(&t.w.packed, rows*n)
	kernel.PackRowsF32(packed, p, n, rows, n)
	panel := grow(&t.w.panel, n*kernel.PanelN)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		kernel.GatherPanel(panel, v.Data, t.keys[lo:hi], v.Cols, t.off()+c, cols)
		kernel.PanelF32(dst[c:], width, packed, rows, n, panel, cols, false)
	}
}
