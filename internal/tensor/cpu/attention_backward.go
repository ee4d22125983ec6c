package cpu

import (
	"cmp"
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// partKeys is the least number of keys of a part, maxParts the most parts that
// a list of keys is cut into.
const (
	partKeys = 512
	maxParts = 4
)

// parts is the number of parts that n keys are cut into. It depends on n
// alone, since it decides the order of sums.
func parts(n int) int { return max(1, min(maxParts, n/partKeys)) }

// AttendBackward implements tensor.Device: probabilities are recomputed block
// by block from lse, after Dao et al., "FlashAttention", 2022. A task owns a
// part of the keys and values of one head of one sequence, so no two tasks
// write the same rows; its query blocks follow one another. Each part but the
// first has its own dq, which are added in order at the end.
func (d *Device) AttendBackward(dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	checkAttention(q, k, v, a, l)
	sameShape(dq, q)
	sameShape(dout, q)
	sameShape(dk, k)
	sameShape(dv, k)
	clear(dk.Data)
	clear(dv.Data)
	d.shares = d.shares[:0]
	most := 1
	for s := range l.Past {
		n := parts(len(l.Keys[s]))
		most = max(most, n)
		for part := range n {
			d.shares = append(d.shares, share{sequence: s, part: part, of: n, keys: len(l.Keys[s])})
		}
	}
	// The largest come first, so that no worker is left with one. Early keys
	// are seen by the most queries.
	slices.SortStableFunc(d.shares, func(a, b share) int { return cmp.Or(b.keys/b.of-a.keys/a.of, a.part-b.part) })
	extra := d.Alloc((most-1)*q.Rows, q.Cols)
	d.op = operands{dx: dq, w: extra, dk: dk, dv: dv, dy: dout, y: out, s: lse, x: q, k: k, v: v, attention: a, layout: l}
	d.loop(len(d.shares)*a.KVHeads, 1, func(d *Device, o *operands, worker, from, to int) {
		for i := from; i < to; i++ {
			b := backward{o: o}
			b.tile = tile{a: o.attention, w: &d.workers[worker], queries: queries{head: i % o.attention.KVHeads}}
			b.share(d.shares[i/o.attention.KVHeads])
		}
	})
	if most > 1 {
		d.addParts(dq, extra, l)
	}
	d.Free(extra)
}

// share is one part of a sequence's keys.
type share struct{ sequence, part, of, keys int }

// addParts adds the dq of later parts to that of the first.
func (d *Device) addParts(dq, extra tensor.Tensor, l *tensor.Layout) {
	d.op = operands{dx: dq, w: extra, layout: l}
	d.loop(len(l.Past), 1, func(_ *Device, o *operands, _, from, to int) {
		for s := from; s < to; s++ {
			for part := 1; part < parts(len(o.layout.Keys[s])); part++ {
				lo, hi := int(o.layout.Starts[s]), int(o.layout.Starts[s+1])
				at := (part - 1) * o.dx.Rows
				kernel.Add(o.dx.Slice(lo, hi).Data, o.w.Slice(at+lo, at+hi).Data)
			}
		}
	})
}

// backward is AttendBackward for one share and key/value head; dk and dv are
// [keys, stride] in the order of the list.
type backward struct {
	tile
	o      *operands
	dq     tensor.Tensor
	dk, dv []float32
}

// share runs the query blocks of a share one after the other.
func (b *backward) share(s share) {
	l, width, d := b.o.layout, b.a.HeadDim, b.stride()
	b.keys = l.Keys[s.sequence]
	b.first, b.last = s.part*s.keys/s.of, (s.part+1)*s.keys/s.of
	b.dq = b.o.dx
	if s.part > 0 {
		b.dq = b.o.w.Slice((s.part-1)*b.dq.Rows, s.part*b.dq.Rows)
	}
	n := b.last - b.first
	b.dk, b.dv = grow(&b.w.dk, n*d), grow(&b.w.dv, n*d)
	clear(b.dk)
	clear(b.dv)
	start, end, rows := int(l.Starts[s.sequence]), int(l.Starts[s.sequence+1]), queryRows(b.a, n)
	for lo := start; lo < end; lo += rows {
		b.lo, b.hi, b.position = lo, min(lo+rows, end), int(l.Past[s.sequence])+lo-start
		b.run()
	}
	for j, r := range b.keys[b.first:b.last] {
		copy(b.o.dk.Row(int(r))[b.off():b.off()+width], b.dk[j*d:])
		copy(b.o.dv.Row(int(r))[b.off():b.off()+width], b.dv[j*d:])
	}
}

// run adds the gradients through one block of queries. With x = scale·q, s
// the capped scores x·kᵀ, P = e^(s-lse) and D = dout·out:
// dv = Pᵀ·dout, ds = P∘(dout·vᵀ - D)∘(1-(s/c)²), dk = dsᵀ·x, dq = scale·ds·k.
func (b *backward) run() {
	rows, d, w := b.rows(), b.stride(), b.w
	lo, hi := b.span()
	ld := scoreStride(hi - lo)
	x, dy := grow(&w.x, rows*d), grow(&w.dy, rows*d)
	if lo == hi { // no query sees a key of this part
		clear(x)
		b.scatter(b.dq, x)
		return
	}
	b.gather(x, b.o.x, b.a.Scale)
	b.gather(dy, b.o.dy, 1)
	p, ds := grow(&w.scores, rows*ld), grow(&w.grads, rows*ld)
	b.products(p, x, b.o.k, lo, hi)
	b.products(ds, dy, b.o.v, lo, hi)
	for r := range rows {
		b.probabilities(p[r*ld:(r+1)*ld], ds[r*ld:(r+1)*ld], dy[r*d:], r, lo)
	}
	b.reduce(b.dv[(lo-b.first)*d:], p, dy, lo, hi)
	b.reduce(b.dk[(lo-b.first)*d:], ds, x, lo, hi)
	b.combine(x, ds, b.o.k, lo, hi)
	kernel.Scale(b.a.Scale, x)
	b.scatter(b.dq, x)
}

// probabilities turns a row of scores into P and a row of dout·vᵀ into ds,
// zero where the row does not see.
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
	lse := b.o.s.Row(b.lo + r/b.group())[b.head*b.group()+r%b.group()]
	kernel.SoftmaxBackward(p, ds, lse, kernel.Dot(dy[:b.a.HeadDim], b.part(b.o.y, r)), b.a.Softcap)
}

// reduce adds aᵀ·x, a [rows, hi-lo] and x [rows, stride], to dst [hi-lo,
// stride].
func (b *backward) reduce(dst, a, x []float32, lo, hi int) {
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
