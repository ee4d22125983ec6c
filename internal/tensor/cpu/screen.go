package cpu

import (
	"cmp"
	"math"
	"slices"

	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// screened is how many tokens TopK takes from the screen at least.
const screened = 16

// Screen implements tensor.Device.
func (d *Device) Screen(tw tensor.Weight) tensor.Weight {
	if tw.DType() == dtype.I8 {
		return tw
	}
	w := *tw.(*weight)
	s := &weight{n: w.n, k: w.k, i8: hugePages(make([]byte, max(kernel.PackedI8(w.n, w.k), 1)))}
	size := kernel.PanelBytesI8(w.k)
	d.pool.For(kernel.Panels(w.n), 16, func(worker, lo, hi int) {
		row := grow(&d.workers[worker].scores, kernel.ScratchI8(w.k))
		for p := lo; p < hi; p++ {
			kernel.PackPanelI8(s.i8[p*size:(p+1)*size], p, w.n, w.k, w.row, row)
		}
	})
	w.screen = s
	return &w
}

// row writes row i of w to row.
func (w *weight) row(i int, row []float32) {
	if w.f32 != nil {
		panel := w.panelF32(i / kernel.PanelN)
		for x := range row {
			row[x] = panel[x*kernel.PanelN+i%kernel.PanelN]
		}
		return
	}
	panel := w.panelBF16(i / kernel.PanelN)
	for x := range row {
		row[x] = math.Float32frombits(uint32(panel[(x/2*kernel.PanelN+i%kernel.PanelN)*2+x%2]) << 16)
	}
}

// rescore holds the tokens that a screen chose, and their logits with the head itself.
type rescore struct {
	w       *weight
	packed  packed // the rows
	rows    int
	most    int                 // tokens per row
	found   []tensor.Candidates // [rows] by the screen
	logits  []float32           // [rows, most]
	wanted  []wanted            // in the order of panels and blocks of rows
	groups  []int               // where the wanted logits of each panel and block begin, and their end
	softcap float32
}

// wanted is the logit of one token of a row.
type wanted struct {
	panel, block, column int32
	row, place           int32
}

// rescored finds the k best tokens of each row by the integers of w's copy, and gives them
// the logits of w. The other tokens keep theirs in the softmax's sum.
func (d *Device) rescored(h tensor.Tensor, w *weight, k int, softcap float32, banned [][]int32) []tensor.Candidates {
	most := min(max(screened, 2*k), w.n)
	sums := make([]float64, h.Rows)
	found := d.topK(h, w.screen, most, softcap, banned, nil, sums)
	chunk := rowChunk(h.Rows, w.k)
	for lo := 0; lo < h.Rows; lo += chunk {
		hi := min(lo+chunk, h.Rows)
		r := &d.rescore
		*r = rescore{w: w, rows: hi - lo, most: most, found: found[lo:hi], logits: grow(&r.logits, (hi-lo)*most), softcap: softcap,
			wanted: r.wanted[:0], groups: r.groups[:0], packed: d.packRows(h.Data[lo*h.Cols:], h.Cols, hi-lo, h.Cols, w.DType())}
		r.collect()
		d.loop(len(r.groups)-1, 1, func(d *Device, _ *operands, worker, lo, hi int) {
			for g := lo; g < hi; g++ {
				d.rescore.group(g, &d.workers[worker])
			}
		})
		for i := range r.found {
			r.choose(i, k, sums[lo+i])
		}
		r.found = nil
	}
	return found
}

// collect lists the wanted logits, those of a panel and a block of rows together: they come
// from one product.
func (r *rescore) collect() {
	last := int32(kernel.RowBlocks(r.rows) - 1)
	for i, c := range r.found {
		block := min(int32(i/kernel.TileRows()), last)
		for j, t := range c.Tokens {
			r.wanted = append(r.wanted, wanted{t / kernel.PanelN, block, t % kernel.PanelN, int32(i), int32(j)})
		}
	}
	slices.SortFunc(r.wanted, func(a, b wanted) int { return cmp.Or(cmp.Compare(a.panel, b.panel), cmp.Compare(a.block, b.block)) })
	for i, a := range r.wanted {
		if i == 0 || a.panel != r.wanted[i-1].panel || a.block != r.wanted[i-1].block {
			r.groups = append(r.groups, i)
		}
	}
	r.groups = append(r.groups, len(r.wanted))
}

// group computes the product of a panel and a block of rows.
func (r *rescore) group(g int, s *scratch) {
	some := r.wanted[r.groups[g]:r.groups[g+1]]
	lo, hi := kernel.BlockRange(r.rows, int(some[0].block), int(some[0].block)+1)
	tile := grow(&s.scores, (hi-lo)*kernel.PanelN) // tile [hi-lo, PanelN]
	r.w.panel(tile, kernel.PanelN, r.packed, lo, hi, int(some[0].panel), false)
	for _, a := range some {
		r.logits[int(a.row)*r.most+int(a.place)] = tile[(int(a.row)-lo)*kernel.PanelN+int(a.column)]
	}
}

// choose replaces the tokens of row i by the k best of them by their logits. sum is the
// log-sum-exp of all tokens by the screen.
func (r *rescore) choose(i, k int, sum float64) {
	c := &r.found[i]
	logits := r.logits[i*r.most:][:len(c.Tokens)]
	if r.softcap > 0 {
		kernel.Softcap(logits, r.softcap)
	}
	k = max(0, min(k, len(logits)))
	best := ranking{make([]int32, 0, k), make([]float32, 0, k)}
	total := 1.0 // in units of the screen's sum
	for j, v := range logits {
		if math.IsInf(float64(c.LogP[j]), -1) { // banned
			v = c.LogP[j]
		}
		best.offer(v, c.Tokens[j])
		total += math.Exp(float64(v)-sum) - math.Exp(float64(c.LogP[j]))
	}
	sum += math.Log(max(total, math.SmallestNonzeroFloat32))
	for j, v := range best.logits {
		best.logits[j] = float32(float64(v) - sum)
	}
	*c = tensor.Candidates{Tokens: best.tokens, LogP: best.logits}
}
