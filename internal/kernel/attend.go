package kernel

// Places says where rows of a matrix begin: Scores and Weighted find keys and
// values through it, wherever they lie. Set checks it once for all products.
type Places struct {
	base []float32
	at   []int // of the rows, then of the last one again up to a multiple of 4
	n, d int
}

// Set points p at d values of each of the rows of base, ld values apart, off
// values into each row. p's memory is reused.
func (p *Places) Set(base []float32, rows []int32, ld, off, d int) {
	p.base, p.n, p.d, p.at = base, len(rows), d, p.at[:0]
	for _, r := range rows {
		o := int(r)*ld + off
		if o < 0 || o+d > len(base) {
			panic("kernel: a row lies outside its matrix")
		}
		p.at = append(p.at, o)
	}
	for len(p.at)%4 != 0 {
		p.at = append(p.at, p.at[p.n-1])
	}
}

// SetAll points p at n rows of d values one after the other.
func (p *Places) SetAll(base []float32, n, d int) {
	if len(base) < n*d {
		panic("kernel: a row lies outside its matrix")
	}
	p.base, p.n, p.d, p.at = base, n, d, p.at[:0]
	for i := range (n + 3) / 4 * 4 {
		p.at = append(p.at, min(i, n-1)*d)
	}
}

// Scores fills dst[r·ldd+j] = q[r]·row j for the queries r < m, ldq values
// apart, and the rows lo ≤ j < hi; lo is a multiple of 4. It computes groups of
// four rows, and may write up to three values beyond hi into dst. The width d
// is a multiple of 16.
//
// A dot product's order of summation depends on d alone.
func (p *Places) Scores(dst []float32, ldd int, q []float32, ldq, m, lo, hi int) {
	end := (hi + 3) / 4 * 4
	if lo >= hi || m == 0 {
		return
	}
	if lo%4 != 0 || hi > p.n || p.d%16 != 0 || p.d == 0 || len(q) < (m-1)*ldq+p.d || ldd < end || len(dst) < (m-1)*ldd+end {
		panic("kernel: scores do not fit")
	}
	for r := 0; r < m; r += 3 {
		rows := min(3, m-r)
		p.scores(dst[r*ldd+lo:], ldd, q[r*ldq:], ldq, rows, p.at[lo:end])
	}
}

// Weighted adds Σ w[j]·row lo+j to y, j ascending: the order, and the bits, of
// Combine's sums. len(y) is the width d, a multiple of 16.
func (p *Places) Weighted(y, w []float32, lo int) {
	if len(y) != p.d || p.d%16 != 0 || lo < 0 || lo+len(w) > p.n {
		panic("kernel: weighted sum does not fit")
	}
	n := len(w) &^ 3
	if p.d == 0 {
		return
	}
	if n > 0 {
		p.weighted(y, w[:n], p.at[lo:lo+n])
	}
	for j := n; j < len(w); j++ {
		o := p.at[lo+j]
		Axpy(w[j], p.base[o:o+p.d], y)
	}
}

// CombineRows is how many rows Combine takes at once.
const CombineRows = 6

// Combine writes c [m, cols] (ldc apart) = Σₖ a[r][k]·panel[k] for rows a
// [m, k] (lda apart) as they lie and one panel [k][32], cols ≤ 32: the order
// and the bits of Weighted. m is at most CombineRows.
func Combine(c []float32, ldc int, a []float32, lda, m, k int, panel []float32, cols int) {
	if m < 1 || m > CombineRows || len(a) < (m-1)*lda+k || len(panel) < k*PanelN {
		panic("kernel: rows do not fit their product")
	}
	checkTile(c, ldc, m, cols)
	if k == 0 {
		for r := range m {
			clear(c[r*ldc : r*ldc+cols])
		}
		return
	}
	if cols == PanelN {
		combine(c, ldc, a, lda, m, k, panel)
		return
	}
	var t [CombineRows * PanelN]float32
	combine(t[:], PanelN, a, lda, m, k, panel)
	for r := range m {
		copy(c[r*ldc:r*ldc+cols], t[r*PanelN:])
	}
}

// Reduce adds Σₖ a[k][j]·panel[k] to c [n, cols] (ldc apart), for columns j <
// n of a [k, n] (lda apart) as they lie and one panel [k][32], k ascending;
// cols ≤ 32, and n is at most CombineRows.
func Reduce(c []float32, ldc int, a []float32, lda, n, k int, panel []float32, cols int) {
	if n < 1 || n > CombineRows || k > 0 && len(a) < (k-1)*lda+n || len(panel) < k*PanelN {
		panic("kernel: columns do not fit their product")
	}
	checkTile(c, ldc, n, cols)
	if k == 0 {
		return
	}
	if cols == PanelN {
		reduce(c, ldc, a, lda, n, k, panel)
		return
	}
	var t [CombineRows * PanelN]float32
	for j := range n {
		copy(t[j*PanelN:j*PanelN+cols], c[j*ldc:])
	}
	reduce(t[:], PanelN, a, lda, n, k, panel)
	for j := range n {
		copy(c[j*ldc:j*ldc+cols], t[j*PanelN:])
	}
}
