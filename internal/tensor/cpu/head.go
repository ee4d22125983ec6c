package cpu

import (
	"math"

	"barka/internal/kernel"
	"barka/internal/tensor"
)

// Logits are computed in tiles: a few panels of the vocabulary by a number of rows. A
// tile stays in a core's second-level cache while its maxima, its sums of exponentials
// and its best tokens are found.
const (
	headPanels = 8
	headCols   = headPanels * kernel.PanelN
	headRows   = 96 // rounded to a multiple of the kernels' rows
)

// logitBudget bounds the logits that exist at once when gradients need them, in values
// (256 MiB).
const logitBudget = 64 << 20

// head is one pass of rows over the vocabulary of an output head. Sums of exponentials
// are kept per row and block of columns, and added in the order of the blocks. They
// therefore do not depend on which worker computed which block.
type head struct {
	w       *weight
	packed  packed // the rows
	rows    int
	softcap float32
	k       int            // number of best tokens to find
	banned  [][]int32      // [rows] tokens that must not be found, or nil
	extra   []tensor.Extra // further tokens of some rows
	targets []int32        // [rows] tokens whose logits are wanted, or nil
	ranks   bool           // find the targets' ranks
	logits  tensor.Tensor

	shared int       // blocks of tokens that all rows have
	blocks int       // the most that a row has, with its extra ones
	top    []float32 // [rows, blocks] the block's largest logit
	sum    []float64 // [rows, blocks] Σ e^(logit-top)
	target []float32 // [rows] the target's logit
	above  []int32   // [rows, blocks] tokens of the block that rank before the target
	best   []ranking // [workers, rows]
	ids    []int32   // memory of best
	values []float32
}

// ranking holds the best tokens of one row so far, the best first. Among equal logits
// the lower token comes first. A NaN counts as -Inf.
type ranking struct {
	tokens []int32
	logits []float32
}

// offer inserts a token with logit v if it is among the best.
func (r *ranking) offer(v float32, token int32) {
	if v != v {
		v = float32(math.Inf(-1))
	}
	n := len(r.tokens)
	if n == cap(r.tokens) {
		if n == 0 || !better(v, token, r.logits[n-1], r.tokens[n-1]) {
			return
		}
	} else {
		r.tokens, r.logits = r.tokens[:n+1], r.logits[:n+1]
		n++
	}
	j := n - 1
	for ; j > 0 && better(v, token, r.logits[j-1], r.tokens[j-1]); j-- {
		r.logits[j], r.tokens[j] = r.logits[j-1], r.tokens[j-1]
	}
	r.logits[j], r.tokens[j] = v, token
}

// better reports whether a token ranks before another.
func better(v float32, token int32, than float32, other int32) bool {
	return v > than || v == than && token < other
}

// offerRow offers a row of logits, the first of token first. top is the largest.
func (r *ranking) offerRow(row []float32, top float32, first int) {
	n := len(r.tokens)
	if n == cap(r.tokens) && (n == 0 || top < r.logits[n-1]) {
		return
	}
	for j, v := range row {
		if n = len(r.tokens); n < cap(r.tokens) || v >= r.logits[n-1] {
			r.offer(v, int32(first+j))
		}
	}
}

// prepare makes the pass ready for the rows of h. The caller has set the options.
func (p *head) prepare(d *Device, h tensor.Tensor) {
	n := p.w.n
	p.k = min(p.k, n)
	p.rows, p.shared = h.Rows, headBlocks(n)
	p.blocks = p.shared
	for _, e := range p.extra {
		p.blocks = max(p.blocks, p.shared+headBlocks(e.W.(*weight).n))
	}
	p.packed = d.packRows(h.Data, h.Cols, h.Rows, h.Cols, p.w.DType())
	grow(&p.top, p.rows*p.blocks)
	sums := grow(&p.sum, p.rows*p.blocks)
	if p.blocks > p.shared {
		clear(sums) // of rows without extra tokens
	}
	grow(&p.target, p.rows)
	if p.ranks {
		grow(&p.above, p.rows*p.blocks)
	}
	if p.k == 0 {
		return
	}
	lists := d.pool.Workers() * p.rows
	grow(&p.best, lists)
	grow(&p.ids, lists*p.k)
	grow(&p.values, lists*p.k)
	for i := range p.best[:lists] {
		at := i * p.k
		p.best[i] = ranking{p.ids[at : at : at+p.k], p.values[at : at : at+p.k]}
	}
}

// run computes the rows of h [T,D], which are few enough to be packed at once.
func (p *head) run(d *Device, h tensor.Tensor) {
	p.prepare(d, h)
	if p.ranks {
		d.loop(kernel.RowBlocks(p.rows), 1, func(d *Device, _ *operands, worker, lo, hi int) {
			for b := lo; b < hi; b++ {
				d.head.targetLogits(b, &d.workers[worker])
			}
		})
	}
	d.loop(p.shared, 1, func(d *Device, _ *operands, worker, lo, hi int) {
		for b := lo; b < hi; b++ {
			p := &d.head
			p.block(tokenBlock{p.w, b, b, b * headCols, 0, p.rows}, worker, &d.workers[worker])
		}
	})
	if len(p.extra) == 0 {
		return
	}
	d.loop(len(p.extra), 1, func(d *Device, _ *operands, worker, lo, hi int) {
		p := &d.head
		for _, e := range p.extra[lo:hi] {
			w := e.W.(*weight)
			for b := range headBlocks(w.n) {
				p.block(tokenBlock{w, b, p.shared + b, p.w.n + b*headCols, e.Lo, e.Hi}, worker, &d.workers[worker])
			}
		}
	})
}

// headBlocks returns the number of blocks of n tokens.
func headBlocks(n int) int { return (kernel.Panels(n) + headPanels - 1) / headPanels }

// tokenBlock is block b of the tokens of w for the rows lo ≤ r < hi. at is its place among a
// row's blocks, and first the number of its first token.
type tokenBlock struct {
	w            *weight
	b, at, first int
	lo, hi       int
}

// block computes a block of tokens.
func (p *head) block(t tokenBlock, worker int, s *scratch) {
	cols := min(headCols, t.w.n-t.b*headCols)
	step, all := kernel.TileRows(), kernel.RowBlocks(p.rows)
	most, end := headRows/step, min((t.hi+step-1)/step, all)
	for from := min(t.lo/step, all-1); from < end; from += most {
		lo, hi := kernel.BlockRange(p.rows, from, min(from+most, end))
		tile, ld := grow(&s.scores, (hi-lo)*headCols), headCols
		if !p.logits.None() {
			tile, ld = p.logits.Data[lo*p.w.n+t.first:], p.w.n
		}
		for j := t.b * headPanels; j < min((t.b+1)*headPanels, kernel.Panels(t.w.n)); j++ {
			t.w.panel(tile[(j-t.b*headPanels)*kernel.PanelN:], ld, p.packed, lo, hi, j, false)
		}
		for r := max(lo, t.lo); r < min(hi, t.hi); r++ { // tile [hi-lo, cols]
			p.scan(tile[(r-lo)*ld:(r-lo)*ld+cols], r, t.at, t.first, worker)
		}
	}
}

// scan caps the logits of row r in block b, whose tokens are numbered from first on. It
// collects their maximum, the sum of their exponentials, the target's logit and the best
// tokens.
func (p *head) scan(row []float32, r, b, first, worker int) {
	if p.softcap > 0 {
		kernel.Softcap(row, p.softcap)
	}
	top := kernel.Max(row)
	shift := top
	if math.IsInf(float64(top), -1) { // all are -Inf or NaN
		shift = 0
	}
	p.top[r*p.blocks+b], p.sum[r*p.blocks+b] = shift, kernel.ExpSum(row, shift)
	if p.targets != nil {
		if t := int(p.targets[r]) - first; t >= 0 && t < len(row) {
			p.target[r] = row[t]
		}
		if p.ranks {
			p.above[r*p.blocks+b] = countBefore(row, top, first, p.target[r], p.targets[r])
		}
	}
	if p.k == 0 {
		return
	}
	if p.banned != nil {
		for _, t := range p.banned[r] {
			if j := int(t) - first; j >= 0 && j < len(row) {
				row[j] = float32(math.Inf(-1))
			}
		}
	}
	p.best[worker*p.rows+r].offerRow(row, top, first)
}

// targetLogits computes the targets' logits of block b of the rows, before the pass
// that compares every logit with them. Each takes one panel of the head. A logit has
// the same bits in every product, so that it equals the one that the pass finds.
func (p *head) targetLogits(b int, s *scratch) {
	lo, hi := kernel.BlockRange(p.rows, b, b+1)
	tile := grow(&s.scores, (hi-lo)*kernel.PanelN) // tile [hi-lo, PanelN]
	for r := lo; r < hi; r++ {
		panel, j := int(p.targets[r])/kernel.PanelN, int(p.targets[r])%kernel.PanelN
		p.w.panel(tile, kernel.PanelN, p.packed, lo, hi, panel, false)
		logit := tile[(r-lo)*kernel.PanelN+j:][:1]
		if p.softcap > 0 {
			kernel.Softcap(logit, p.softcap)
		}
		p.target[r] = logit[0]
	}
}

// countBefore counts the tokens that rank before a target with the given logit. row
// holds the logits of the tokens from first on, and top is the largest of them.
func countBefore(row []float32, top float32, first int, logit float32, target int32) (n int32) {
	if top < logit {
		return 0
	}
	if logit != logit || math.IsInf(float64(logit), -1) { // NaN counts as -Inf
		for j, v := range row {
			if id := int32(first + j); id < target || v > float32(math.Inf(-1)) {
				n++
			}
		}
		return n
	}
	lower := max(0, min(int(target)-first, len(row)))
	for _, v := range row[:lower] {
		if v >= logit {
			n++
		}
	}
	for _, v := range row[lower:] {
		if v > logit {
			n++
		}
	}
	return n
}

// rank returns the rank of row r's target.
func (p *head) rank(r int) int32 {
	rank := int32(1)
	for _, n := range p.above[r*p.blocks : (r+1)*p.blocks] {
		rank += n
	}
	return rank
}

// logSumExp adds the blocks of row r and returns the log-sum-exp of its logits.
func (p *head) logSumExp(r int) float64 {
	tops, sums := p.top[r*p.blocks:(r+1)*p.blocks], p.sum[r*p.blocks:(r+1)*p.blocks]
	top := math.Inf(-1)
	for b, t := range tops {
		if sums[b] != 0 {
			top = max(top, float64(t))
		}
	}
	total := 0.0
	for b, t := range tops {
		if sums[b] != 0 {
			total += sums[b] * math.Exp(float64(t)-top)
		}
	}
	return top + math.Log(total)
}

// ranked merges what the workers found and returns the best tokens of row r.
func (p *head) ranked(d *Device, r int) ranking {
	best := p.best[r]
	for worker := 1; worker < d.pool.Workers(); worker++ {
		for i, t := range p.best[worker*p.rows+r].tokens {
			best.offer(p.best[worker*p.rows+r].logits[i], t)
		}
	}
	return best
}

// eachChunk runs the pass over chunks of rows of h, each as large as may be packed at
// once and at most limit rows. It calls done after each chunk lo ≤ i < hi.
func (d *Device) eachChunk(h tensor.Tensor, w tensor.Weight, o head, limit int, done func(p *head, lo, hi int)) {
	p := &d.head
	p.w, p.softcap, p.k, p.ranks = w.(*weight), o.softcap, o.k, o.ranks
	if h.Cols != p.w.k {
		panic("cpu: the hidden states do not fit the head")
	}
	rows := max(1, min(rowChunk(h.Rows, p.w.k), limit))
	for lo := 0; lo < h.Rows; lo += rows {
		hi := min(lo+rows, h.Rows)
		p.targets, p.banned = nil, nil
		if o.targets != nil {
			p.targets = o.targets[lo:hi]
		}
		if o.banned != nil {
			p.banned = o.banned[lo:hi]
		}
		p.extra = p.extra[:0]
		for _, e := range o.extra {
			if from, to := max(e.Lo, lo), min(e.Hi, hi); from < to {
				p.extra = append(p.extra, tensor.Extra{W: e.W, Lo: from - lo, Hi: to - lo})
			}
		}
		p.logits = tensor.Tensor{}
		if !o.logits.None() {
			p.logits = o.logits.Slice(0, hi-lo)
		}
		p.run(d, h.Slice(lo, hi))
		done(p, lo, hi)
	}
	clear(p.extra)
	p.w, p.targets, p.banned, p.logits = nil, nil, nil, tensor.Tensor{}
}

// CrossEntropy implements tensor.Device. It stores logits only for gradients, in
// chunks of rows.
func (d *Device) CrossEntropy(nll, dh, h tensor.Tensor, w tensor.Weight, targets tensor.Ints, weights tensor.Tensor, softcap float32) {
	n, _ := w.Dims()
	checkTargets(targets.Host, h.Rows, n, nll.Len())
	o, limit := head{softcap: softcap, targets: targets.Host}, h.Rows
	if !dh.None() {
		if weights.Len() != h.Rows {
			panic("cpu: the weights do not fit the rows")
		}
		limit = gradientRows(n, h.Rows)
		o.logits = d.Alloc(limit, n)
		defer d.Free(o.logits)
	}
	d.eachChunk(h, w, o, limit, func(p *head, lo, hi int) {
		for r := range p.rows {
			nll.Data[lo+r] = float32(p.logSumExp(r) - float64(p.target[r]))
		}
		if dh.None() {
			return
		}
		d.op.gradient = gradientOperands{weights.Data[lo:hi]}
		d.loop(p.rows, 1, func(d *Device, o *operands, _, lo, hi int) {
			for r := lo; r < hi; r++ {
				d.head.gradient(r, o.gradient.weights[r])
			}
		})
		logits := p.logits.Slice(0, hi-lo)
		d.MatMulT(dh.Slice(lo, hi), logits, w, false)
		if g := w.(*weight).grad; !g.None() {
			d.GradWeight(g, logits, h.Slice(lo, hi))
		}
	})
}

// Trains implements tensor.Device.
func (d *Device) Trains(w tensor.Weight, grad tensor.Tensor) {
	n, k := w.Dims()
	if grad.Rows != n || grad.Cols != k {
		panic("cpu: Trains: the gradient does not fit the weight")
	}
	w.(*weight).grad = grad
}

// gradientRows returns how many of some rows have logits [_,n] at once when gradients need
// them.
func gradientRows(n, rows int) int {
	step := kernel.TileRows()
	return min(max(logitBudget/max(n, 1)/step*step, step), 512, max(rows, 1))
}

// gradientOperands are those of the loss gradient; the logits are in Device.head.
type gradientOperands struct{ weights []float32 }

// gradient replaces the capped logits of row r by weight times the gradient of its loss
// with respect to the uncapped logits.
func (p *head) gradient(r int, weight float32) {
	row, target := p.logits.Row(r), weight
	if p.softcap > 0 {
		at := p.target[r] / p.softcap
		target *= 1 - at*at
	}
	kernel.LossGradient(row, float32(p.logSumExp(r)), weight, p.softcap)
	row[p.targets[r]] -= target
}

// checkTargets panics unless there is a target for each row and each is a token.
func checkTargets(targets []int32, rows, n, out int) {
	if len(targets) != rows || out != rows {
		panic("cpu: the targets or the results do not fit the rows")
	}
	for _, t := range targets {
		if t < 0 || int(t) >= n {
			panic("cpu: a target is outside the vocabulary")
		}
	}
}

// LogProbs implements tensor.Device.
func (d *Device) LogProbs(h tensor.Tensor, w tensor.Weight, targets tensor.Ints, softcap float32,
	ranks bool) tensor.Pending[tensor.Scores] {
	n, _ := w.Dims()
	checkTargets(targets.Host, h.Rows, n, h.Rows)
	s := tensor.Scores{LogP: make([]float32, h.Rows), Greedy: make([]bool, h.Rows)}
	if ranks {
		s.Ranks = make([]int32, h.Rows)
	}
	d.eachChunk(h, w, head{softcap: softcap, targets: targets.Host, k: 1, ranks: ranks}, h.Rows, func(p *head, lo, hi int) {
		for r := range p.rows {
			s.LogP[lo+r] = float32(float64(p.target[r]) - p.logSumExp(r))
			s.Greedy[lo+r] = p.ranked(d, r).tokens[0] == targets.Host[lo+r]
			if ranks {
				s.Ranks[lo+r] = p.rank(r)
			}
		}
	})
	return tensor.Known(s)
}

// TopK implements tensor.Device.
func (d *Device) TopK(h tensor.Tensor, tw tensor.Weight, k int, softcap float32, banned [][]int32,
	extra []tensor.Extra) tensor.Pending[[]tensor.Candidates] {
	w := tw.(*weight)
	for _, e := range extra {
		if _, cols := e.W.Dims(); cols != h.Cols || e.W.DType() != w.DType() || e.Lo < 0 || e.Hi > h.Rows {
			panic("cpu: TopK: extra tokens do not fit the head or the rows")
		}
	}
	if w.screen != nil && len(extra) == 0 {
		return tensor.Known(d.rescored(h, w, k, softcap, banned))
	}
	return tensor.Known(d.topK(h, w, k, softcap, banned, extra, nil))
}

// topK also sets sums, if not nil, to the log-sum-exp of each row.
func (d *Device) topK(h tensor.Tensor, w *weight, k int, softcap float32, banned [][]int32, extra []tensor.Extra,
	sums []float64) []tensor.Candidates {
	k = max(0, min(k, w.n))
	out, tokens, logp := make([]tensor.Candidates, h.Rows), make([]int32, h.Rows*k), make([]float32, h.Rows*k)
	d.eachChunk(h, w, head{softcap: softcap, k: k, banned: banned, extra: extra}, h.Rows, func(p *head, lo, hi int) {
		for r := range p.rows {
			at := (lo + r) * k
			c := tensor.Candidates{Tokens: tokens[at : at+k : at+k], LogP: logp[at : at+k : at+k]}
			lse := p.logSumExp(r)
			if k > 0 {
				best := p.ranked(d, r)
				copy(c.Tokens, best.tokens)
				for j, v := range best.logits {
					c.LogP[j] = float32(float64(v) - lse)
				}
			}
			out[lo+r] = c
			if sums != nil {
				sums[lo+r] = lse
			}
		}
	})
	return out
}
