package cpu

import (
	"math"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// A task computes a block of score rows: query rows times the heads that share a
// key/value head. More rows per task gather the values less often; fewer rows keep
// the scores in the cache. blockRows is the usual number, blockScores the most scores
// of a task, and fewRows the least number of rows.
const (
	blockRows   = 96
	blockScores = 1 << 17
	fewRows     = 24
)

// directRows is the number of score rows up to which values are read in place. With
// more rows it pays to gather them into panels.
const directRows = 8

// queries is a block of query rows of one key/value head. All rows see keys of the
// same list. In causal attention positions rise by one from row to row; otherwise
// they do not matter.
type queries struct {
	keys     []int32
	head     int  // the key/value head
	lo, hi   int  // rows
	position int  // of row lo
	kept     bool // other blocks follow with the same keys and head, and the worker keeps panels for them
}

// attentionOperands are those of Attend and AttendBackward, with the names that
// tensor.Device gives them.
type attentionOperands struct {
	out, lse, q, k, v tensor.Tensor
	spec              tensor.Attention

	dq, dk, dv, dout tensor.Tensor
	dqLater          tensor.Tensor // dq of the key ranges after the first
	layout           *tensor.Layout
}

// Attend implements tensor.Device. For each block of queries it computes the scores
// with the visible keys, the softmax of each row, and the weighted sum of values.
// Sums run over the head's width and over the keys in ascending order, and a key that
// a row does not see adds exactly zero. A row's result is therefore the same in any
// block, and the same when it is decoded alone.
func (d *Device) Attend(out, lse, q, k, v tensor.Tensor, a tensor.Attention, l tensor.Keys) {
	checkAttention(q, k, v, a, l.Layout)
	sameShape(out, q)
	d.queries = queryBlocks(d.queries[:0], a, l.Layout)
	d.forgetPanels()
	d.op.attention = attentionOperands{out: out, lse: lse, q: q, k: k, v: v, spec: a}
	d.loop(len(d.queries), 1, func(d *Device, o *operands, worker, from, to int) {
		for i := from; i < to; i++ {
			// Later queries see more keys. Of a head, long tasks come first.
			last := len(d.queries) - 1
			t := tile{a: o.attention.spec, w: &d.workers[worker], queries: d.queries[last-i]}
			t.last = len(t.keys)
			if next := i + len(d.workers); next <= last { // probably this worker's next task
				d.queries[last-next].prefetch(o.attention.q, t.group()*t.a.HeadDim)
			}
			t.forward(&o.attention)
		}
	})
}

// prefetch asks for the block's rows of x, width values of each.
func (q *queries) prefetch(x tensor.Tensor, width int) {
	for r := q.lo; r < q.hi; r++ {
		kernel.Prefetch(x.Row(r)[q.head*width : (q.head+1)*width])
	}
}

// checkAttention panics unless the shapes fit the specification and the layout.
func checkAttention(q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	sameShape(k, v)
	n := len(l.Past)
	if a.KVHeads <= 0 || a.Heads%a.KVHeads != 0 || q.Cols != a.Heads*a.HeadDim || k.Cols != a.KVHeads*a.HeadDim ||
		len(l.Starts) != n+1 || len(l.Keys) != n || int(l.Starts[n]) != q.Rows {
		panic("cpu: Attend: the shapes do not fit")
	}
}

// queryBlocks divides the queries of a layout into blocks and appends them to blocks.
// Neighbouring sequences with the same list of keys share blocks if positions do not
// matter: the beams of a sentence have the same source.
func queryBlocks(blocks []queries, a tensor.Attention, l *tensor.Layout) []queries {
	for s := 0; s < len(l.Past); {
		next := s + 1
		for !a.Causal && a.Window == 0 && next < len(l.Past) && sameList(l.Keys[s], l.Keys[next]) {
			next++
		}
		start, end, rows := int(l.Starts[s]), int(l.Starts[next]), queryRows(a, len(l.Keys[s]))
		kept := end-start > rows && keeps(a, len(l.Keys[s]))
		for h := range a.KVHeads {
			for lo := start; lo < end; lo += rows {
				blocks = append(blocks, queries{keys: l.Keys[s], head: h, lo: lo, hi: min(lo+rows, end),
					position: int(l.Past[s]) + lo - start, kept: kept})
			}
		}
		s = next
	}
	return blocks
}

// queryRows returns the number of query rows of a block with so many keys.
func queryRows(a tensor.Attention, keys int) int {
	rows := min(blockRows, max(fewRows, blockScores/max(keys, 1)))
	return max(1, rows/(a.Heads/a.KVHeads))
}

// sameList reports whether two lists are equal.
func sameList(a, b []int32) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) || slices.Equal(a, b)
}

// tile computes one block of queries with the keys first ≤ j < last of their list.
// Its matrices have one row for each query row and head of the group. The heads of a
// query are adjacent.
type tile struct {
	queries
	first, last int
	a           tensor.Attention
	w           *scratch
}

// group returns the number of query heads that share a key/value head.
func (t *tile) group() int { return t.a.Heads / t.a.KVHeads }

// rows returns the number of score rows.
func (t *tile) rows() int { return (t.hi - t.lo) * t.group() }

// stride returns the distance of rows of the head's width in scratch. The kernels
// take multiples of 16; values after the width are zero.
func (t *tile) stride() int { return (t.a.HeadDim + 15) / 16 * 16 }

// off returns where the head's keys and values start in their rows.
func (t *tile) off() int { return t.head * t.a.HeadDim }

// visible returns the range of the tile's keys that the query at a position sees.
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

// span returns the range of keys that any row of the block sees. It starts with a panel.
func (t *tile) span() (lo, hi int) {
	lo, _ = t.visible(t.position)
	_, hi = t.visible(t.position + t.hi - t.lo - 1)
	lo = min(lo, hi)
	return lo - (lo-t.first)%kernel.PanelN, hi
}

// gather copies the block's rows of x, times scale, to dst [rows, stride]: one row
// for each query and head of the group.
func (t *tile) gather(dst []float32, x tensor.Tensor, scale float32) {
	width, d := t.a.HeadDim, t.stride()
	if all := t.group() * width; width == d {
		for i := range t.hi - t.lo { // the heads of a query are adjacent in x too
			kernel.Scale(dst[i*all:(i+1)*all], scale, x.Row(t.lo + i)[t.head*all:])
		}
		return
	}
	for r := range t.rows() {
		row := dst[r*d : (r+1)*d]
		kernel.Scale(row[:width], scale, t.headOf(x, r))
		clear(row[width:])
	}
}

// scatter is the inverse of gather without a scale.
func (t *tile) scatter(x tensor.Tensor, src []float32) {
	width, d := t.a.HeadDim, t.stride()
	if all := t.group() * width; width == d {
		for i := range t.hi - t.lo {
			copy(x.Row(t.lo + i)[t.head*all:], src[i*all:(i+1)*all])
		}
		return
	}
	for r := range t.rows() {
		copy(t.headOf(x, r), src[r*d:])
	}
}

// headOf returns the values of x, one head of one query, of row r of the tile.
func (t *tile) headOf(x tensor.Tensor, r int) []float32 {
	at := (t.head*t.group() + r%t.group()) * t.a.HeadDim
	return x.Row(t.lo + r/t.group())[at : at+t.a.HeadDim]
}

// forward computes out and lse for the block of queries.
func (t *tile) forward(o *attentionOperands) {
	rows, w := t.rows(), t.w
	lo, hi := t.span()
	n, ld := hi-lo, scoreStride(hi-lo)
	x := grow(&w.x, rows*t.stride()) // x [rows, stride], the scaled queries
	t.gather(x, o.q, t.a.Scale)
	s := grow(&w.scores, rows*ld) // s [rows, hi-lo], the scores
	t.scores(s, x, o.k, &w.keys, lo, hi)
	for r := range rows {
		top, sum := t.softmax(s[r*ld:r*ld+n], r, lo)
		if !o.lse.None() {
			o.lse.Row(t.lo + r/t.group())[t.head*t.group()+r%t.group()] = top + float32(math.Log(sum))
		}
	}
	t.prefetch(o.out, t.group()*t.a.HeadDim)
	if rows <= directRows && t.a.HeadDim%16 == 0 {
		t.weightedSumInPlace(x, s, o.v, lo, hi)
	} else {
		t.weightedSum(x, s, o.v, lo, hi)
	}
	t.scatter(o.out, x)
}

// scoreStride returns the distance of rows of n scores. Kernels write whole panels of keys.
// The distance is an odd number of cache lines: rows whose distance is a multiple of a page
// would share a few sets of the first-level cache.
func scoreStride(n int) int {
	return kernel.Panels(n)*kernel.PanelN + 16
}

// locate returns the offsets of the head's values in the rows of x that hold the keys
// lo ≤ j < hi. Heads whose width the kernels do not take are copied first.
func (t *tile) locate(x tensor.Tensor, lo, hi int) *kernel.RowOffsets {
	p, width, d := &t.w.offsets, t.a.HeadDim, t.stride()
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

// keyBlock is the number of values of keys that stay in the first-level cache for all
// queries.
const keyBlock = 4096

// scores sets dst [rows, hi-lo] = x·kᵀ for the keys lo ≤ j < hi. Rows of dst are
// scoreStride(hi-lo) values apart. Scores of keys that a row does not see are
// undefined. Many rows take panels of the keys.
func (t *tile) scores(dst, x []float32, k tensor.Tensor, panels *keptPanels, lo, hi int) {
	if t.rows() > directRows && kernel.KeyPanels() {
		t.scoresOfPanels(dst, x, k, panels, lo, hi)
		return
	}
	p, d, n, ld := t.locate(k, lo, hi), t.stride(), hi-lo, scoreStride(hi-lo)
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

// scoresOfPanels is scores for many rows: the same bits, from panels of keys that are made
// once for all rows. Key lo starts a panel.
func (t *tile) scoresOfPanels(dst, x []float32, k tensor.Tensor, panels *keptPanels, lo, hi int) {
	d, n, ld, rows := t.stride(), hi-lo, scoreStride(hi-lo), t.rows()
	for j := 0; j < n; j += kernel.PanelN {
		panel := t.keyPanel(panels, k, (lo-t.first+j)/kernel.PanelN)
		for r := 0; r < rows; r += kernel.PanelQueries {
			m := min(kernel.PanelQueries, rows-r)
			from, _ := t.visible(t.position + r/t.group())
			_, to := t.visible(t.position + (r+m-1)/t.group())
			if from-lo < j+kernel.PanelN && j < to-lo {
				kernel.ScoresOfPanel(dst[r*ld+j:], ld, x[r*d:], d, m, d, panel)
			}
		}
	}
}

// softmax turns row r of scores, the first of key lo, into probabilities. The log-sum-exp
// of the scores is top + log sum. Keys that the row does not see get probability zero.
func (t *tile) softmax(row []float32, r, lo int) (top float32, sum float64) {
	from, to := t.visible(t.position + r/t.group())
	clear(row[:from-lo])
	clear(row[to-lo:])
	p := row[from-lo : to-lo]
	if len(p) == 0 {
		return float32(math.Inf(-1)), 0
	}
	if t.a.Softcap > 0 {
		kernel.Softcap(p, t.a.Softcap)
	}
	top = kernel.Max(p)
	sum = kernel.SoftmaxExp(p, top)
	kernel.Scale(p, float32(1/sum), p)
	return top, sum
}

// weightedSum sets dst [rows, stride] = p·v for the keys lo ≤ j < hi. For each group
// of rows it skips the keys that none of them sees.
func (t *tile) weightedSum(dst, p []float32, v tensor.Tensor, lo, hi int) {
	rows, width, d, ld := t.rows(), t.a.HeadDim, t.stride(), scoreStride(hi-lo)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		panel := t.valuePanel(&t.w.values, v, c, lo, hi)
		for r := 0; r < rows; r += kernel.MulPanelRows {
			m := min(kernel.MulPanelRows, rows-r)
			from, _ := t.visible(t.position + r/t.group())
			_, to := t.visible(t.position + (r+m-1)/t.group())
			from, to = from-lo, to-lo
			kernel.MulPanel(dst[r*d+c:], d, p[r*ld+from:], ld, m, max(0, to-from), panel[from*kernel.PanelN:], cols)
		}
	}
}

// weightedSumInPlace is weightedSum for few rows: the same sums without panels. Blocks
// of keys stay in the cache for all rows.
func (t *tile) weightedSumInPlace(dst, p []float32, v tensor.Tensor, lo, hi int) {
	values, d, n, ld := t.locate(v, lo, hi), t.stride(), hi-lo, scoreStride(hi-lo)
	block := max(4, 4*keyBlock/d/4*4)
	clear(dst)
	for j := 0; j < n; j += block {
		for r := range t.rows() {
			from, to := t.visible(t.position + r/t.group())
			if a, b := max(j, from-lo), min(j+block, to-lo); a < b {
				values.WeightedSum(dst[r*d:(r+1)*d], p[r*ld+a:r*ld+b], a)
			}
		}
	}
}
