package cpu

import (
	"cmp"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// A list of keys is divided into at most maxRanges ranges of at least rangeKeys keys.
const (
	rangeKeys = 512
	maxRanges = 4
)

// ranges returns the number of ranges of n keys. It depends on n alone, since it
// decides the order of sums.
func ranges(n int) int { return max(1, min(maxRanges, n/rangeKeys)) }

// AttendBackward implements tensor.Device. It recomputes the probabilities block by
// block from lse, after Dao et al., "FlashAttention", 2022. A task owns a range of the
// keys and values of one head of one sequence, so that no two tasks write the same
// rows of dk and dv, and runs its query blocks in order. Every range after the first
// has its own dq. They are added in order at the end.
func (d *Device) AttendBackward(dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor, a tensor.Attention, keys tensor.Keys) {
	l := keys.Layout
	checkAttention(q, k, v, a, l)
	sameShape(dq, q)
	sameShape(dout, q)
	sameShape(dk, k)
	sameShape(dv, k)
	clear(dk.Data)
	clear(dv.Data)
	d.forgetPanels()
	d.keyRanges = d.keyRanges[:0]
	most := 1
	for s := range l.Past {
		n := ranges(len(l.Keys[s]))
		most = max(most, n)
		for i := range n {
			d.keyRanges = append(d.keyRanges, keyRange{sequence: s, index: i, of: n, keys: len(l.Keys[s])})
		}
	}
	// The largest ranges come first, so that no worker ends with one. The early keys
	// of a sequence are seen by the most queries.
	slices.SortStableFunc(d.keyRanges, func(a, b keyRange) int { return cmp.Or(b.keys/b.of-a.keys/a.of, a.index-b.index) })
	dqLater := d.Alloc((most-1)*q.Rows, q.Cols)
	d.op.attention = attentionOperands{out: out, lse: lse, q: q, k: k, v: v, spec: a,
		dq: dq, dk: dk, dv: dv, dout: dout, dqLater: dqLater, layout: l}
	d.loop(len(d.keyRanges)*a.KVHeads, 1, func(d *Device, o *operands, worker, from, to int) {
		spec := o.attention.spec
		for i := from; i < to; i++ {
			b := backward{o: &o.attention}
			b.tile = tile{a: spec, w: &d.workers[worker], queries: queries{head: i % spec.KVHeads}}
			b.run(d.keyRanges[i/spec.KVHeads])
		}
	})
	if most > 1 {
		d.addLater(dq, dqLater, l)
	}
	d.Free(dqLater)
}

// keyRange is one of the ranges of a sequence's keys.
type keyRange struct{ sequence, index, of, keys int }

// addLater adds the dq of later ranges to that of the first.
func (d *Device) addLater(dq, dqLater tensor.Tensor, l *tensor.Layout) {
	d.op.attention = attentionOperands{dq: dq, dqLater: dqLater, layout: l}
	d.loop(len(l.Past), 1, func(_ *Device, o *operands, _, from, to int) {
		a := &o.attention
		for s := from; s < to; s++ {
			for i := 1; i < ranges(len(a.layout.Keys[s])); i++ {
				lo, hi := int(a.layout.Starts[s]), int(a.layout.Starts[s+1])
				at := (i - 1) * a.dq.Rows
				kernel.Add(a.dq.Slice(lo, hi).Data, a.dqLater.Slice(at+lo, at+hi).Data)
			}
		}
	})
}

// backward is AttendBackward for one range of keys and one key/value head. dk and dv
// are [keys, stride] in the order of the list.
type backward struct {
	tile
	o      *attentionOperands
	dq     tensor.Tensor
	dk, dv []float32
}

// run computes the query blocks of a range of keys one after the other.
func (b *backward) run(s keyRange) {
	l, width, d := b.o.layout, b.a.HeadDim, b.stride()
	b.keys = l.Keys[s.sequence]
	b.first, b.last = s.index*s.keys/s.of, (s.index+1)*s.keys/s.of
	b.dq = b.o.dq
	if s.index > 0 {
		b.dq = b.o.dqLater.Slice((s.index-1)*b.dq.Rows, s.index*b.dq.Rows)
	}
	n := b.last - b.first
	b.dk, b.dv = grow(&b.w.dk, n*d), grow(&b.w.dv, n*d)
	clear(b.dk)
	clear(b.dv)
	start, end, rows := int(l.Starts[s.sequence]), int(l.Starts[s.sequence+1]), queryRows(b.a, n)
	b.kept = end-start > rows && keeps(b.a, n)
	for lo := start; lo < end; lo += rows {
		b.lo, b.hi, b.position = lo, min(lo+rows, end), int(l.Past[s.sequence])+lo-start
		b.block()
	}
	for j, r := range b.keys[b.first:b.last] {
		copy(b.o.dk.Row(int(r))[b.off():b.off()+width], b.dk[j*d:])
		copy(b.o.dv.Row(int(r))[b.off():b.off()+width], b.dv[j*d:])
	}
}

// block adds the gradients through one block of queries. With x = scale·q, s the
// capped scores x·kᵀ, P = e^(s-lse) and D = dout·out:
// dv = Pᵀ·dout, ds = P∘(dout·vᵀ - D)∘(1-(s/c)²), dk = dsᵀ·x, dq = scale·ds·k.
func (b *backward) block() {
	rows, d, w := b.rows(), b.stride(), b.w
	lo, hi := b.span()
	ld := scoreStride(hi - lo)
	x, dy := grow(&w.x, rows*d), grow(&w.dy, rows*d) // x, dy [rows, stride]
	if lo == hi {                                    // no query sees a key of this range
		clear(x)
		b.scatter(b.dq, x)
		return
	}
	b.gather(x, b.o.q, b.a.Scale)
	b.gather(dy, b.o.dout, 1)
	p, ds := grow(&w.scores, rows*ld), grow(&w.grads, rows*ld) // p, ds [rows, hi-lo]
	b.scores(p, x, b.o.k, &w.keys, lo, hi)
	b.scores(ds, dy, b.o.v, &w.gradValues, lo, hi)
	for r := range rows {
		b.probabilities(p[r*ld:(r+1)*ld], ds[r*ld:(r+1)*ld], dy[r*d:], r, lo)
	}
	b.addTransposed(b.dv[(lo-b.first)*d:], p, dy, lo, hi)
	b.addTransposed(b.dk[(lo-b.first)*d:], ds, x, lo, hi)
	b.weightedSum(x, ds, b.o.k, lo, hi)
	kernel.Scale(x, b.a.Scale, x)
	b.scatter(b.dq, x)
}

// probabilities turns row r of the scores into P, and row r of dout·vᵀ into ds. Both
// are zero for keys that the row does not see.
func (b *backward) probabilities(p, ds, dy []float32, r, lo int) {
	from, to := b.visible(b.position + r/b.group())
	clear(p[:from-lo])
	clear(p[to-lo:])
	clear(ds[:from-lo])
	clear(ds[to-lo:])
	p, ds = p[from-lo:to-lo], ds[from-lo:to-lo]
	if b.a.Softcap > 0 {
		kernel.Softcap(p, b.a.Softcap)
	}
	lse := b.o.lse.Row(b.lo + r/b.group())[b.head*b.group()+r%b.group()]
	kernel.SoftmaxBackward(p, ds, lse, kernel.Dot(dy[:b.a.HeadDim], b.headOf(b.o.out, r)), b.a.Softcap)
}

// addTransposed adds aᵀ·x to dst [hi-lo, stride], for a [rows, hi-lo] and x [rows,
// stride].
func (b *backward) addTransposed(dst, a, x []float32, lo, hi int) {
	rows, width, d, n, ld := b.rows(), b.a.HeadDim, b.stride(), hi-lo, scoreStride(hi-lo)
	panel := grow(&b.w.panel, rows*kernel.PanelN)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		kernel.PanelOfRows(panel, x, d, rows, c, cols)
		for j := 0; j < n; j += kernel.MulPanelRows {
			kernel.MulPanelT(dst[j*d+c:], d, a[j:], ld, min(kernel.MulPanelRows, n-j), rows, panel, cols)
		}
	}
}
