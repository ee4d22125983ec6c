package kernel

import (
	"math"
	"slices"
	"testing"

	"barka/internal/cpu"
)

// TestScores compares scores with float64. Nothing is written but the padding of the last
// group, and the bits do not depend on the other queries and keys.
func TestScores(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(10)
		for _, d := range []int{16, 48, 64, 256} {
			const ld, off = 300, 3
			k := random(rng, 20*ld)
			list := []int32{3, 0, 19, 7, 7, 2, 5, 11, 13, 1, 4}
			var p RowOffsets
			for m := 1; m <= 8; m++ {
				ldq := d + m
				q := random(rng, m*ldq)
				for n := 1; n <= len(list); n++ {
					p.Set(k, list[:n], ld, off, d)
					end := (n + 3) / 4 * 4
					ldd := end + 2
					got, check := guarded(t, (m-1)*ldd+end, m%3)
					p.Scores(got, ldd, q, ldq, m, 0, n)
					check()
					for r := range m {
						for j, row := range list[:n] {
							var want, scale float64
							for x := range d {
								v := float64(q[r*ldq+x]) * float64(k[int(row)*ld+off+x])
								want += v
								scale += math.Abs(v)
							}
							if !near(got[r*ldd+j], want, scale, 1e-6) {
								t.Fatalf("width %d, query %d of %d, key %d of %d: %g, want %g", d, r, m, j, n, got[r*ldd+j], want)
							}
							var one RowOffsets
							one.Set(k, list[j:j+1], ld, off, d)
							var alone [4]float32
							one.Scores(alone[:], 4, q[r*ldq:], ldq, 1, 0, 1)
							if alone[0] != got[r*ldd+j] {
								t.Fatalf("width %d, query %d of %d, key %d of %d: %g, alone %g", d, r, m, j, n, got[r*ldd+j], alone[0])
							}
						}
						for _, v := range got[r*ldd+end : min((r+1)*ldd, len(got))] {
							if v != guard {
								t.Fatalf("width %d, query %d of %d: wrote between rows", d, r, m)
							}
						}
					}
				}
			}
		}
	})
}

// TestScoresOfPanel: the same bits as Scores, for any number of queries and keys.
func TestScoresOfPanel(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		if !KeyPanels() {
			t.Skip("this level computes all scores from rows")
		}
		rng := newRand(14)
		for _, d := range []int{16, 48, 64, 256} {
			const ld, off = 300, 3
			k := random(rng, 50*ld)
			for _, n := range []int{1, 15, 16, 31, 32, 33, 64} {
				list := make([]int32, n)
				for i := range list {
					list[i] = int32(rng.IntN(50))
				}
				var p RowOffsets
				p.Set(k, list, ld, off, d)
				for m := 1; m <= 2*PanelQueries+1; m++ {
					ldq, ldd := d+m, Panels(n)*PanelN+m
					q := random(rng, m*ldq)
					want := make([]float32, m*ldd)
					p.Scores(want, ldd, q, ldq, m, 0, n)
					got, check := guarded(t, (m-1)*ldd+Panels(n)*PanelN, m%3)
					panel := make([]float32, d*PanelN)
					for j := 0; j < n; j += PanelN {
						p.KeyPanel(panel, j)
						ScoresOfPanel(got[j:], ldd, q, ldq, m, d, panel)
					}
					check()
					for r := range m {
						if !slices.Equal(got[r*ldd:r*ldd+n], want[r*ldd:r*ldd+n]) {
							t.Fatalf("width %d, query %d of %d, %d keys: other bits than Scores", d, r, m, n)
						}
						for _, v := range got[min(r*ldd+Panels(n)*PanelN, len(got)):min((r+1)*ldd, len(got))] {
							if v != guard {
								t.Fatalf("width %d, query %d of %d: wrote between rows", d, r, m)
							}
						}
					}
				}
			}
		}
	})
}

// TestWeighted: the same bits as the product of the row with a panel.
func TestWeighted(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(11)
		for _, d := range []int{16, 32, 64, 80, 256} {
			const ld, off = 300, 5
			v := random(rng, 40*ld)
			for n := 0; n <= 20; n++ {
				rows := make([]int32, n)
				for i := range rows {
					rows[i] = int32(rng.IntN(40))
				}
				var p RowOffsets
				p.Set(v, rows, ld, off, d)
				for lo := 0; lo <= min(n, 3); lo++ {
					w := random(rng, n-lo)
					y, check := guarded(t, d, n%4)
					clear(y)
					p.WeightedSum(y, w, lo)
					check()
					want := make([]float32, d)
					panel := make([]float32, max(n-lo, 1)*PanelN)
					for c := 0; c < d; c += PanelN {
						cols := min(PanelN, d-c)
						GatherPanel(panel, v, rows[lo:], ld, off+c, cols)
						MulPanel(want[c:], d, w, max(n-lo, 1), 1, n-lo, panel, cols)
					}
					if !slices.Equal(y, want) {
						t.Fatalf("width %d, rows %d to %d: other bits than the panel's", d, lo, n)
					}
				}
			}
		}
	})
}

// TestCombine: against float64, nothing written outside, and each row the same
// bits alone.
func TestCombine(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(12)
		for m := 1; m <= MulPanelRows; m++ {
			for _, k := range []int{0, 1, 2, 7, 33} {
				for _, cols := range []int{1, 8, 16, 31, 32} {
					lda, ldc := k+3, cols+m
					a, panel := random(rng, (m-1)*lda+k), random(rng, k*PanelN)
					c, check := guarded(t, (m-1)*ldc+cols, m)
					MulPanel(c, ldc, a, lda, m, k, panel, cols)
					check()
					for r := range m {
						alone := make([]float32, cols)
						MulPanel(alone, cols, a[r*lda:], lda, 1, k, panel, cols)
						if !slices.Equal(alone, c[r*ldc:r*ldc+cols]) {
							t.Fatalf("%d×%d×%d: row %d has other bits alone", m, k, cols, r)
						}
						for j, got := range alone {
							var want, scale float64
							for x := range k {
								v := float64(a[r*lda+x]) * float64(panel[x*PanelN+j])
								want += v
								scale += math.Abs(v)
							}
							if !near(got, want, scale, 1e-6) {
								t.Fatalf("%d×%d×%d: (%d,%d) is %g, want %g", m, k, cols, r, j, got, want)
							}
						}
						if r < m-1 {
							for _, v := range c[r*ldc+cols : (r+1)*ldc] {
								if v != guard {
									t.Fatalf("%d×%d×%d: wrote between rows", m, k, cols)
								}
							}
						}
					}
				}
			}
		}
	})
}

// TestReduce: against float64, nothing written outside.
func TestReduce(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(13)
		for n := 1; n <= MulPanelRows; n++ {
			for _, k := range []int{0, 1, 2, 7, 33} {
				for _, cols := range []int{1, 8, 16, 31, 32} {
					lda, ldc := n+k%4, cols+n
					a, panel := random(rng, max(0, (k-1)*lda+n)), random(rng, k*PanelN)
					c, check := guarded(t, (n-1)*ldc+cols, n)
					before := random(rng, n*cols)
					for j := range n {
						copy(c[j*ldc:j*ldc+cols], before[j*cols:])
					}
					MulPanelT(c, ldc, a, lda, n, k, panel, cols)
					check()
					for j := range n {
						for i, got := range c[j*ldc : j*ldc+cols] {
							want := float64(before[j*cols+i])
							scale := math.Abs(want)
							for x := range k {
								v := float64(a[x*lda+j]) * float64(panel[x*PanelN+i])
								want += v
								scale += math.Abs(v)
							}
							if !near(got, want, scale, 1e-6) {
								t.Fatalf("%d×%d×%d: (%d,%d) is %g, want %g", n, k, cols, j, i, got, want)
							}
						}
						if j < n-1 {
							for _, v := range c[j*ldc+cols : (j+1)*ldc] {
								if v != guard {
									t.Fatalf("%d×%d×%d: wrote between rows", n, k, cols)
								}
							}
						}
					}
				}
			}
		}
	})
}

func TestPlacesAreChecked(t *testing.T) {
	for _, rows := range [][]int32{{-1}, {4}, {0, 3, 100}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rows %v of a matrix of 4 were accepted", rows)
				}
			}()
			var p RowOffsets
			p.Set(make([]float32, 4*16), rows, 16, 0, 16)
		}()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rows %v of a matrix of 4 were gathered", rows)
				}
			}()
			GatherPanel(make([]float32, 4*PanelN), make([]float32, 4*PanelN), rows, PanelN, 0, PanelN)
		}()
	}
}

// FuzzAttend: scores and weighted sums at every level agree with the plain
// loops.
func FuzzAttend(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(9), uint8(4))
	f.Fuzz(func(t *testing.T, seed uint64, queries, keys, blocks uint8) {
		m, n, d := 1+int(queries)%13, 1+int(keys)%70, 16*(1+int(blocks)%17)
		rng := newRand(seed)
		k, q := random(rng, 50*(d+7)), random(rng, m*d)
		rows := make([]int32, n)
		for i := range rows {
			rows[i] = int32(rng.IntN(50))
		}
		var p RowOffsets
		p.Set(k, rows, d+7, 7, d)
		ld := (n + 3) / 4 * 4
		run := func(l cpu.Level) (s, y []float32) {
			defer cpu.Use(l)()
			s, y = make([]float32, m*ld), make([]float32, d)
			p.Scores(s, ld, q, d, m, 0, n)
			p.WeightedSum(y, q[:min(n, m*d)], 0)
			// The queries as rows and as columns, with a panel of key values.
			rows, panel, cols := min(m, MulPanelRows), k[:min(d, len(k)/PanelN)*PanelN], 1+n%PanelN
			c := make([]float32, 2*rows*PanelN)
			MulPanel(c, PanelN, q, d, rows, len(panel)/PanelN, panel, cols)
			MulPanelT(c[rows*PanelN:], PanelN, q, rows, rows, min(m*d/rows, len(panel)/PanelN), panel, cols)
			return append(s, c...), y
		}
		want, wantY := run(cpu.Generic)
		for _, l := range cpu.Levels() {
			s, y := run(l)
			for i := range s {
				if !near(s[i], float64(want[i]), float64(d), 1e-6) {
					t.Fatalf("%s: score %d is %g, plain loops %g", l, i, s[i], want[i])
				}
			}
			for i := range y {
				if !near(y[i], float64(wantY[i]), float64(n), 1e-6) {
					t.Fatalf("%s: sum %d is %g, plain loops %g", l, i, y[i], wantY[i])
				}
			}
		}
	})
}
