package kernel

// RowOffsets locates selected rows of a matrix. Scores and WeightedSum read keys and
// values through it, in any order and at any distance. Set checks the offsets once
// for all products.
type RowOffsets struct {
	base []float32
	at   []int // offsets of the rows; the last is repeated up to a multiple of 4
	n, d int   // rows, and values in each
}

// Set selects rows of base, which are ld values apart. Of each row it takes d
// values from off on. The memory of p is reused.
func (p *RowOffsets) Set(base []float32, rows []int32, ld, off, d int) {
	p.base, p.n, p.d, p.at = base, len(rows), d, p.at[:0]
	for _, r := range rows {
		o := int(r)*ld + off
		if o < 0 || o+d > len(base) {
			panic("kernel: a row is outside its matrix")
		}
		p.at = append(p.at, o)
	}
	for len(p.at)%4 != 0 {
		p.at = append(p.at, p.at[p.n-1])
	}
}

// SetAll selects n rows of d values that follow one another.
func (p *RowOffsets) SetAll(base []float32, n, d int) {
	if len(base) < n*d {
		panic("kernel: a row is outside its matrix")
	}
	p.base, p.n, p.d, p.at = base, n, d, p.at[:0]
	for i := range (n + 3) / 4 * 4 {
		p.at = append(p.at, min(i, n-1)*d)
	}
}

// Scores sets dst[r·ldd+j] = q[r]·row j for the queries r < m, which are ldq values
// apart, and for the rows lo ≤ j < hi. lo must be a multiple of 4 and the width d a
// multiple of 16. Rows are computed in groups of four, so that up to three values
// after hi may be written to dst.
//
// The order of summation of a dot product depends on d alone.
func (p *RowOffsets) Scores(dst []float32, ldd int, q []float32, ldq, m, lo, hi int) {
	end := (hi + 3) / 4 * 4
	if lo >= hi || m == 0 {
		return
	}
	if lo%4 != 0 || hi > p.n || p.d%16 != 0 || p.d == 0 || len(q) < (m-1)*ldq+p.d || ldd < end || len(dst) < (m-1)*ldd+end {
		panic("kernel: the scores do not fit their operands")
	}
	for r := 0; r < m; r += 3 {
		rows := min(3, m-r)
		p.scores(dst[r*ldd+lo:], ldd, q[r*ldq:], ldq, rows, p.at[lo:end])
	}
}

// KeyPanel copies rows lo ≤ j < lo+32 to a panel [d][32], in which a row is a column. Columns
// after the last row repeat it.
func (p *RowOffsets) KeyPanel(dst []float32, lo int) {
	if lo < 0 || lo >= p.n || len(dst) < p.d*PanelN {
		panic("kernel: the panel does not fit its rows")
	}
	for half := 0; half < PanelN; half += 16 {
		var at [16]int
		for i := range at {
			at[i] = p.at[min(lo+half+i, p.n-1)]
		}
		transposeRows(view32(dst[half:]), PanelN, view32(p.base), &at, 16, p.d)
	}
}

// Prefetch asks for values that are used soon, for the second-level cache. It does not
// wait for them.
func Prefetch(x []float32) {
	if len(x) > 0 {
		prefetch(x)
	}
}

// PanelQueries is the number of queries that ScoresOfPanel computes at a time.
const PanelQueries = 4

// ScoresOfPanel sets dst[r·ldd+j] = q[r]·column j for the queries r < m, which are ldq values
// apart, and all 32 columns of a panel [d][32]. Order and bits are those of Scores. It is
// faster for many queries, and needs a level with KeyPanels.
func ScoresOfPanel(dst []float32, ldd int, q []float32, ldq, m, d int, panel []float32) {
	if d%16 != 0 || d == 0 || m < 1 || len(q) < (m-1)*ldq+d || len(panel) < d*PanelN {
		panic("kernel: the scores do not fit their operands")
	}
	checkTile(dst, ldd, m, PanelN)
	for r := 0; r < m; r += PanelQueries {
		scoresOfPanel(dst[r*ldd:], ldd, q[r*ldq:], ldq, min(PanelQueries, m-r), d, panel)
	}
}

// WeightedSum adds Σ w[j]·row lo+j to y, j ascending. Order and bits are those of
// MulPanel. len(y) is the width d, a multiple of 16.
func (p *RowOffsets) WeightedSum(y, w []float32, lo int) {
	if len(y) != p.d || p.d%16 != 0 || lo < 0 || lo+len(w) > p.n {
		panic("kernel: the weighted sum does not fit its operands")
	}
	n := len(w) &^ 3
	if p.d == 0 {
		return
	}
	if n > 0 {
		p.weightedSum(y, w[:n], p.at[lo:lo+n])
	}
	for j := n; j < len(w); j++ {
		o := p.at[lo+j]
		Axpy(w[j], p.base[o:o+p.d], y)
	}
}

// MulPanelRows is the most rows that MulPanel, and columns that MulPanelT, take.
const MulPanelRows = 6

// MulPanel sets c [m, cols] = a·panel for unpacked rows a [m, k] and one panel
// [k][32], k ascending. Rows of c are ldc values apart, rows of a lda. cols is at
// most 32, m at most MulPanelRows. Order and bits are those of WeightedSum.
func MulPanel(c []float32, ldc int, a []float32, lda, m, k int, panel []float32, cols int) {
	if m < 1 || m > MulPanelRows || len(a) < (m-1)*lda+k || len(panel) < k*PanelN {
		panic("kernel: the rows or the panel are shorter than their product")
	}
	checkTile(c, ldc, m, cols)
	if k == 0 {
		for r := range m {
			clear(c[r*ldc : r*ldc+cols])
		}
		return
	}
	if cols == PanelN {
		mulPanel(c, ldc, a, lda, m, k, panel)
		return
	}
	var t [MulPanelRows * PanelN]float32
	mulPanel(t[:], PanelN, a, lda, m, k, panel)
	for r := range m {
		copy(c[r*ldc:r*ldc+cols], t[r*PanelN:])
	}
}

// MulPanelT adds aᵀ·panel to c [n, cols], for the first n columns of an unpacked a
// [k, ·] and one panel [k][32], k ascending. Rows of c are ldc values apart, rows
// of a lda. cols is at most 32, n at most MulPanelRows.
func MulPanelT(c []float32, ldc int, a []float32, lda, n, k int, panel []float32, cols int) {
	if n < 1 || n > MulPanelRows || k > 0 && len(a) < (k-1)*lda+n || len(panel) < k*PanelN {
		panic("kernel: the columns or the panel are shorter than their product")
	}
	checkTile(c, ldc, n, cols)
	if k == 0 {
		return
	}
	if cols == PanelN {
		mulPanelT(c, ldc, a, lda, n, k, panel)
		return
	}
	var t [MulPanelRows * PanelN]float32
	for j := range n {
		copy(t[j*PanelN:j*PanelN+cols], c[j*ldc:])
	}
	mulPanelT(t[:], PanelN, a, lda, n, k, panel)
	for j := range n {
		copy(c[j*ldc:j*ldc+cols], t[j*PanelN:])
	}
}
