package cpu

import (
	"slices"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// AttendBackward implements tensor.Device: probabilities are recomputed block
// by block from lse, after Dao et al., "FlashAttention", 2022. A task owns the
// keys and values of one head of one sequence, so no two tasks write the same
// rows; its query blocks follow one another.
func (d *Device) AttendBackward(dq, dk, dv, dout, out, lse, q, k, v tensor.Tensor, a tensor.Attention, l *tensor.Layout) {
	checkAttention(q, k, v, a, l)
	sameShape(dq, q)
	sameShape(dout, q)
	sameShape(dk, k)
	sameShape(dv, k)
	clear(dk.Data)
	clear(dv.Data)
	// The longest sequences come first, so that no worker is left with one.
	d.order = d.order[:0]
	for i := range l.Past {
		d.order = append(d.order, i)
	}
	slices.SortStableFunc(d.order, func(i, j int) int { return len(l.Keys[j]) - len(l.Keys[i]) })
	d.op = operands{dx: dq, dk: dk, dv: dv, dy: dout, y: out, s: lse, x: q, k: k, v: v, attention: a, layout: l}
	d.loop(len(l.Past)*a.KVHeads, 1, func(d *Device, o *operands, worker, from, to int) {
		for i := from; i < to; i++ {
			b := backward{o: o}
			b.tile = tile{a: o.attention, w: &d.workers[worker], queries: queries{head: i % o.attention.KVHeads}}
			b.sequence(d.order[i/o.attention.KVHeads])
		}
	})
}

// backward is AttendBackward for one sequence and key/value head; dk and dv
// are [keys, stride] in the order of the list.
type backward struct {
	tile
	o      *operands
	dk, dv []float32
}

// sequence runs the query blocks of sequence s one after the other.
func (b *backward) sequence(s int) {
	l, width, d := b.o.layout, b.a.HeadDim, b.stride()
	b.keys = l.Keys[s]
	b.dk, b.dv = grow(&b.w.dk, len(b.keys)*d), grow(&b.w.dv, len(b.keys)*d)
	clear(b.dk)
	clear(b.dv)
	start, end, rows := int(l.Starts[s]), int(l.Starts[s+1]), queryRows(b.a, len(b.keys))
	for lo := start; lo < end; lo += rows {
		b.lo, b.hi, b.position = lo, min(lo+rows, end), int(l.Past[s])+lo-start
		b.run()
	}
	for j, r := range b.keys {
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
	b.gather(x, b.o.x, b.a.Scale)
	b.gather(dy, b.o.dy, 1)
	p, ds := grow(&w.scores, rows*ld), grow(&w.grads, rows*ld)
	b.products(p, x, b.o.k, lo, hi)
	b.products(ds, dy, b.o.v, lo, hi)
	for r := range rows {
		b.probabilities(p[r*ld:(r+1)*ld], ds[r*ld:(r+1)*ld], dy[r*d:], r, lo)
	}
	b.reduce(b.dv[lo*d:], p, dy, lo, hi)
	b.reduce(b.dk[lo*d:], ds, x, lo, hi)
	b.combine(x, ds, b.o.k, lo, hi)
	kernel.Scale(b.a.Scale, x)
	b.scatter(b.o.dx, x)
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
	rows, width, d, n := b.rows(), b.a.HeadDim, b.stride(), hi-lo
	packed := grow(&b.w.packed, rows*n)
	kernel.PackColumns(packed, a, scoreStride(n), rows, 0, n)
	panel := grow(&b.w.panel, rows*kernel.PanelN)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		kernel.PanelOfRows(panel, x, d, rows, c, cols)
		kernel.PanelF32(dst[c:], d, packed, n, rows, panel, cols, true)
	}
}
