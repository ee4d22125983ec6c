package cpu

import (
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
	rows := max(1, blockRows/(a.Heads/a.KVHeads))
	d.pool.For(len(l.Past)*a.KVHeads, 1, func(worker, from, to int) {
		for i := from; i < to; i++ {
			s, w := i/a.KVHeads, &d.workers[worker]
			n := len(l.Keys[s]) * a.HeadDim
			b := backward{dq: dq, dout: dout, out: out, lse: lse, q: q, k: k, v: v, dk: grow(&w.dk, n), dv: grow(&w.dv, n)}
			clear(b.dk)
			clear(b.dv)
			for lo := int(l.Starts[s]); lo < int(l.Starts[s+1]); lo += rows {
				b.tile = tile{a: a, w: w, queries: queries{keys: l.Keys[s], head: i % a.KVHeads, lo: lo, hi: min(lo+rows, int(l.Starts[s+1])),
					position: int(l.Past[s]) + lo - int(l.Starts[s])}}
				b.run()
			}
			off := i % a.KVHeads * a.HeadDim
			for j, r := range l.Keys[s] {
				copy(dk.Row(int(r))[off:off+a.HeadDim], b.dk[j*a.HeadDim:])
				copy(dv.Row(int(r))[off:off+a.HeadDim], b.dv[j*a.HeadDim:])
			}
		}
	})
}

// backward is AttendBackward for one sequence and key/value head; dk and dv
// are [keys, width] in the order of the list.
type backward struct {
	tile
	dq, dout, out, lse, q, k, v tensor.Tensor
	dk, dv                      []float32
}

// run adds the gradients through one block of queries. With x = scale·q, s
// the capped scores x·kᵀ, P = e^(s-lse) and D = dout·out:
// dv = Pᵀ·dout, ds = P∘(dout·vᵀ - D)∘(1-(s/c)²), dk = dsᵀ·x, dq = scale·ds·k.
func (b *backward) run() {
	rows, width, w := b.rows(), b.a.HeadDim, b.w
	lo, hi := b.span()
	n := hi - lo
	x, dy := grow(&w.x, rows*width), grow(&w.dy, rows*width)
	b.gather(x, b.q, b.a.Scale)
	b.gather(dy, b.dout, 1)
	p, ds := grow(&w.scores, rows*n), grow(&w.grads, rows*n)
	b.products(p, x, b.k, lo, hi)
	b.products(ds, dy, b.v, lo, hi)
	for r := range rows {
		b.probabilities(p[r*n:(r+1)*n], ds[r*n:(r+1)*n], dy[r*width:(r+1)*width], r, lo)
	}
	b.reduce(b.dv[lo*width:], p, dy, n)
	b.reduce(b.dk[lo*width:], ds, x, n)
	b.combine(x, ds, b.k, lo, hi)
	kernel.Scale(b.a.Scale, x)
	b.scatter(b.dq, x)
}

// probabilities turns a row of scores into P and a row of dout·vᵀ into ds.
func (b *backward) probabilities(p, ds, dy []float32, r, lo int) {
	i, h := b.lo+r/b.group(), b.head*b.group()+r%b.group()
	from, to := b.visible(b.position + r/b.group())
	for _, row := range [][]float32{p, ds} {
		clear(row[:from-lo])
		clear(row[to-lo:])
	}
	p, ds = p[from-lo:to-lo], ds[from-lo:to-lo]
	dot := kernel.Dot(dy, b.out.Row(i)[h*b.a.HeadDim:(h+1)*b.a.HeadDim])
	lse := b.lse.Row(i)[h]
	if c := b.a.Softcap; c > 0 {
		kernel.Softcap(p, c)
		for j, s := range p {
			s /= c
			ds[j] = (ds[j] - dot) * (1 - s*s)
		}
	} else {
		for j := range ds {
			ds[j] -= dot
		}
	}
	for j := range p {
		p[j] -= lse
	}
	kernel.Exp(p, p)
	for j, v := range p {
		ds[j] *= v
	}
}

// reduce adds aᵀ·x, a [rows, n] and x [rows, width], to dst [n, width].
func (b *backward) reduce(dst, a, x []float32, n int) {
	rows, width := b.rows(), b.a.HeadDim
	packed := grow(&b.w.packed, rows*n)
	kernel.PackColumns(packed, a, n, rows, 0, n)
	panel := grow(&b.w.panel, rows*kernel.PanelN)
	for c := 0; c < width; c += kernel.PanelN {
		cols := min(kernel.PanelN, width-c)
		kernel.PanelOfRows(panel, x, width, rows, c, cols)
		kernel.PanelF32(dst[c:], width, packed, n, rows, panel, cols, true)
	}
}
