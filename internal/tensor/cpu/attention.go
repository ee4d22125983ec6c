package cpu

import (
	"math"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// blockRows is about the number of score rows of a task: query rows times the
// heads that share a key/value head. It weighs gathering values, once a task,
// against a block of scores that stays in the cache: blockScores at most,
// though never fewer than fewRows rows.
const (
	blockRows   = 96
	blockScores = 1 << 17
	fewRows     = 24
)

// directRows is the number of score rows up to which values are added where
// they lie; for more, gathering them into panels pays.
const directRows = 8

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
	d.blocks = queryBlocks(d.blocks[:0], a, l)
	d.op = operands{y: out, s: lse, x: q, k: k, v: v, attention: a}
	d.loop(len(d.blocks), 1, func(d *Device, o *operands, worker, from, to int) {
		for i := from; i < to; i++ {
			// Later queries see more keys: the long tasks come first.
			t := tile{a: o.attention, w: &d.workers[worker], queries: d.blocks[len(d.blocks)-1-i]}
			t.last = len(t.keys)
			t.forward(o.y, o.s, o.x, o.k, o.v)
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

// queryBlocks cuts the queries of a layout into blocks and appends them.
// Neighbouring sequences with the same list of keys, as the beams of a
// sentence have for its source, share blocks where positions do not matter.
func queryBlocks(blocks []queries, a tensor.Attention, l *tensor.Layout) []queries {
	for s := 0; s < len(l.Past); {
		next := s + 1
		for !a.Causal && a.Window == 0 && next < len(l.Past) && sameList(l.Keys[s], l.Keys[next]) {
			next++
		}
		rows := queryRows(a, len(l.Keys[s]))
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

// queryRows is the number of query rows of a block over a list of keys.
func queryRows(a tensor.Attention, keys int) int {
	rows := min(blockRows, max(fewRows, blockScores/max(keys, 1)))
	return max(1, rows/(a.Heads/a.KVHeads))
}

func sameList(a, b []int32) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) || slices.Equal(a, b)
}

// tile computes one block of queries with the keys first ≤ j < last of their
// list. Its matrices have one row for each query row and head of the group,
// the heads of a query together.
type tile struct {
	queries
	first, last int
	a           tensor.Attention
	w           *scratch
}

func (t *tile) group() int { return t.a.Heads / t.a.KVHeads }
func (t *tile) rows() int  { return (t.hi - t.lo) * t.group() }

// stride is the distance of rows of the head's width in scratch: the kernels
// take multiples of 16, what is beyond the width is zero.
func (t *tile) stride() int { return (t.a.HeadDim + 15) / 16 * 16 }

// off is where the head's keys and values begin in their rows.
func (t *tile) off() int { return t.head * t.a.HeadDim }

// visible returns the range of the tile's keys that the query at a position
// sees.
func (t *tile) visible(position int) (lo, hi int) {
	lo, hi = t.first, t.last
	if t.a.Causal {
		hi = max(lo, min(hi, position+1))
	}
	if t.a.Window > 0 {
		lo = min(max(lo, position-t.a.Window+1), hi)
	}
	return lo, hi
}

// span is the range of keys that any row of the block sees.
func (t *tile) span() (lo, hi int) {
	lo, _ = t.visible(t.position)
	_, hi = t.visible(t.position + t.hi - t.lo - 1)
	return min(lo, hi), hi
}

// gather copies the block's rows of the group's heads from x, times scale, to
// dst [rows, stride].
func (t *tile) gather(dst []float32, x tensor.Tensor, scale float32) {
	width, d := t.a.HeadDim, t.stride()
	for r := range t.rows() {
		row := dst[r*d : (r+1)*d]
		copy(row, t.part(x, r))
		clear(row[width:])
		if scale != 1 {
			kernel.Scale(scale, row)
		}
	}
}

// scatter is the inverse of gather without a scale.
func (t *tile) scatter(x tensor.Tensor, src []float32) {
	d := t.stride()
	for r := range t.rows() {
		copy(t.part(x, r), src[r*d:])
	}
}

// part is the head's part of x that row r of the tile stands for.
func (t *tile) part(x tensor.Tensor, r int) []float32 {
	at := (t.head*t.group() + r%t.group()) * t.a.HeadDim
	return x.Row(t.lo + r/t.group())[at : at+t.a.HeadDim]
}

func (t *tile) forward(out, lse, q, k, v tensor.Tensor) {
	rows, w := t.rows(), t.w
	lo, hi := t.span()
	n, ld := hi-lo, scoreStride(hi-lo)
	x := grow(&w.x, rows*t.stride())
	t.gather(x, q, t.a.Scale)
	s := grow(&w.scores, rows*ld)
	t.products(s, x, k, lo, hi)
	for r := range rows {
		total := t.softmax(s[r*ld:r*ld+n], r, lo)
		if !lse.None() {
			lse.Row(t.lo + r/t.group())[t.head*t.group()+r%t.group()] = total
		}
	}
	if rows <= directRows && t.a.HeadDim%16 == 0 {
		t.combineDirectly(x, s, v, lo, hi)
	} else {
		t.combine(x, s, v, lo, hi)
	}
	t.scatter(out, x)
}

// scoreStride is the distance of rows of n scores: kernels write groups of
// four.
func scoreStride(n int) int { return (n + 3) / 4 * 4 }

// place points the worker's places at the head's part of the rows of x that
// hold the keys lo ≤ j < hi. Widths that kernels do not take are copied.
func (t *tile) place(x tensor.Tensor, lo, hi int) *kernel.RowOffsets {
	p, width, d := &t.w.places, t.a.HeadDim, t.stride()
	if width == d {
		p.Set(x.Data, t.keys[lo:hi], x.Cols, t.off(), d)
		return p
	}
	padded := grow(&t.w.panel, (hi-lo)*d)
	for i, r := range t.keys[lo:hi] {
		row := padded[i*d : (i+1)*d]
		copy(row, x.Row(int(r))[t.off():t.off()+width])
		clear(row[width:])
	}
	p.SetAll(padded, hi-lo, d)
	return p
}

// keyBlock is how many values of keys stay in the first-level cache while the
// queries pass by.
const keyBlock = 4096

// products writes x·kᵀ for the keys lo ≤ j < hi that a row may see: dst [rows,
// hi-lo], in scoreStride(hi-lo). What lies beyond the visible keys of a row is
// undefined.
func (t *tile) products(dst, x []float32, k tensor.Tensor, lo, hi int) {
	p, d, n, ld := t.place(k, lo, hi), t.stride(), hi-lo, scoreStride(hi-lo)
	block := max(4, keyBlock/d/4*4)
	for j := 0; j < n; j += block {
		for r := 0; r < t.rows(); r += 3 {
			m := min(3, t.rows()-r)
			from, _ := t.visible(t.position + r/t.group())
			_, to := t.visible(t.position + (r+m-1)/t.group())
			p.Scores(dst[r*ld:], ld, x[r*d:], d, m, max(j, (from-lo)/4*4), min(j+block, to-lo))
		}
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

// combine writes p·v for the keys lo ≤ j < hi: dst [rows, stride]. Keys that
// none of a few rows sees are passed over.
func (t *tile) combine(dst, p []float32, v tensor.Tensor, lo, hi int) {
	rows, width, d, n, ld := t.rows(), t.a.HeadDim, t.stride(), hi-lo, scoreStride(hi-lo)
	panel := grow(&t.w.panel, n*kernel.PanelN)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		kernel.GatherPanel(panel, v.Data, t.keys[lo:hi], v.Cols, t.off()+c, cols)
		for r := 0; r < rows; r += kernel.MulPanelRows {
			m := min(kernel.MulPanelRows, rows-r)
			from, _ := t.visible(t.position + r/t.group())
			_, to := t.visible(t.position + (r+m-1)/t.group())
			from, to = from-lo, to-lo
			kernel.MulPanel(dst[r*d+c:], d, p[r*ld+from:], ld, m, max(0, to-from), panel[from*kernel.PanelN:], cols)
		}
	}
}

// combineDirectly is combine for few rows, the same sums without panels. Keys
// come in blocks that stay in the cache for all rows.
func (t *tile) combineDirectly(dst, p []float32, v tensor.Tensor, lo, hi int) {
	places, d, n, ld := t.place(v, lo, hi), t.stride(), hi-lo, scoreStride(hi-lo)
	block := max(4, 4*keyBlock/d/4*4)
	clear(dst)
	for j := 0; j < n; j += block {
		for r := range t.rows() {
			from, to := t.visible(t.position + r/t.group())
			if a, b := max(j, from-lo), min(j+block, to-lo); a < b {
				places.WeightedSum(dst[r*d:(r+1)*d], p[r*ld+a:r*ld+b], a)
			}
		}
	}
}
