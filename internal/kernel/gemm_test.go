package kernel

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
)

// product is a whole y = x·Wᵀ through packing and panels.
func product(y, x, w []float32, m, n, k int, bf16, accumulate bool) {
	row := make([]float32, k)
	src := func(i int, row []float32) { copy(row, w[i*k:(i+1)*k]) }
	if bf16 {
		a := make([]float32, PackedRowsBF16(m, k))
		PackRowsBF16(a, x, k, m, k)
		panel := make([]uint16, Pairs(k)*PanelN*2)
		for p := range Panels(n) {
			PackPanelBF16(panel, p, n, k, src, row)
			PanelBF16(y[min(p*PanelN, len(y)):], n, a, m, k, panel, min(PanelN, n-p*PanelN), accumulate)
		}
		return
	}
	a := make([]float32, m*k)
	PackRowsF32(a, x, k, m, k)
	panel := make([]float32, k*PanelN)
	for p := range Panels(n) {
		PackPanelF32(panel, p, n, k, src, row)
		PanelF32(y[min(p*PanelN, len(y)):], n, a, m, k, panel, min(PanelN, n-p*PanelN), accumulate)
	}
}

// checkProduct compares with float64. The bound is k·2⁻²⁴ times Σ|x·w|, the
// worst case of float32 summation; bfloat16 inputs are rounded first.
func checkProduct(t *testing.T, y, before, x, w []float32, m, n, k int, bf16 bool) {
	t.Helper()
	round := func(v float32) float64 {
		if bf16 {
			v = dtype.RoundBF16(v)
		}
		return float64(v)
	}
	for i := range m {
		for j := range n {
			want, scale := 0.0, 0.0
			if before != nil {
				want = float64(before[i*n+j])
			}
			scale = math.Abs(want)
			for p := range k {
				v := round(x[i*k+p]) * round(w[j*k+p])
				want += v
				scale += math.Abs(v)
			}
			if !near(y[i*n+j], want, scale, float64(k+2)*0x1p-23) {
				t.Fatalf("m %d n %d k %d bf16 %v: y[%d,%d] = %g, want %g", m, n, k, bf16, i, j, y[i*n+j], want)
			}
		}
	}
}

func TestProducts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(1)
		sizes := [][3]int{{0, 5, 3}, {1, 1, 1}, {1, 32, 16}, {2, 31, 7}, {3, 33, 2}, {5, 64, 33}, {11, 40, 12},
			{12, 32, 64}, {13, 96, 17}, {24, 70, 31}, {25, 3, 100}, {7, 34, 2100}, {29, 65, 1025}}
		for m := 1; m <= 26; m++ {
			sizes = append(sizes, [3]int{m, 37, 19})
		}
		for _, s := range sizes {
			m, n, k := s[0], s[1], s[2]
			x, w := random(rng, m*k), random(rng, n*k)
			for _, bf16 := range []bool{false, true} {
				for _, accumulate := range []bool{false, true} {
					y, check := guarded(t, m*n, m%3)
					var before []float32
					if accumulate {
						before = random(rng, m*n)
						copy(y, before)
					}
					product(y, x, w, m, n, k, bf16, accumulate)
					check()
					checkProduct(t, y, before, x, w, m, n, k, bf16)
				}
			}
		}
	})
}

// TestProductRounding: the rounding of a float32 product grows with the root
// of a block and of the number of blocks. One accumulator over all of k would
// be past it by a factor of four at the longest.
func TestProductRounding(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(8)
		for _, k := range []int{576, 1536, 4096} {
			const m, n = 13, 64
			x, w, y := random(rng, m*k), random(rng, n*k), make([]float32, m*n)
			product(y, x, w, m, n, k, false, false)
			var mean float64
			for i := range m {
				for j := range n {
					want, square := 0.0, 0.0
					for p := range k {
						v := float64(x[i*k+p]) * float64(w[j*k+p])
						want, square = want+v, square+v*v
					}
					mean += (float64(y[i*n+j]) - want) * (float64(y[i*n+j]) - want) / square / (m * n)
				}
			}
			got, bound := math.Sqrt(mean), 0x1p-25*math.Sqrt(float64(sumBlock)/2+float64(k)/sumBlock/2)
			t.Logf("k %d: %.2g of 2⁻²⁴, bound %.2g", k, got*0x1p24, bound*0x1p24)
			if got > bound {
				t.Errorf("k %d: root of the mean square error %.2g, bound %.2g", k, got, bound)
			}
		}
	})
}

// TestProductRowsStandAlone: the bits of a row's result do not depend on the number of rows.
func TestProductRowsStandAlone(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(2)
		m, n, k := 31, 45, 1100
		x, w := random(rng, m*k), random(rng, n*k)
		for _, bf16 := range []bool{false, true} {
			whole := make([]float32, m*n)
			product(whole, x, w, m, n, k, bf16, false)
			for i := range m {
				for _, rows := range []int{1, 2, 7} {
					if i+rows > m {
						continue
					}
					part := make([]float32, rows*n)
					product(part, x[i*k:], w, rows, n, k, bf16, false)
					for j, v := range part {
						if v != whole[i*n+j] {
							t.Fatalf("bf16 %v rows %d…%d: value %d differs: %g, %g", bf16, i, i+rows, j, v, whole[i*n+j])
						}
					}
				}
			}
		}
	})
}

// TestTransposedPanels: dx = dy·W from the same packed weights.
func TestTransposedPanels(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(3)
		for _, s := range [][3]int{{3, 40, 50}, {13, 33, 31}, {1, 64, 32}, {5, 7, 4}} {
			m, n, k := s[0], s[1], s[2]
			w, dy := random(rng, n*k), random(rng, m*n)
			src := func(i int, row []float32) { copy(row, w[i*k:(i+1)*k]) }
			row := make([]float32, k)
			wt := make([]float32, n*k)
			for i := range n {
				for j := range k {
					wt[j*n+i] = w[i*k+j]
				}
			}
			packed := make([]float32, PackedF32(n, k))
			packed16 := make([]uint16, PackedBF16(n, k))
			for p := range Panels(n) {
				PackPanelF32(packed[p*k*PanelN:], p, n, k, src, row)
				PackPanelBF16(packed16[p*Pairs(k)*PanelN*2:], p, n, k, src, row)
			}
			dx, dx16 := make([]float32, m*k), make([]float32, m*k)
			a := make([]float32, m*n)
			PackRowsF32(a, dy, n, m, n)
			a16 := make([]float32, PackedRowsBF16(m, n))
			PackRowsBF16(a16, dy, n, m, n)
			for k0 := 0; k0 < k; k0 += PanelN {
				panel := make([]float32, n*PanelN)
				TransposePanelF32(panel, packed, n, k, 0, n, k0)
				PanelF32(dx[k0:], k, a, m, n, panel, min(PanelN, k-k0), false)
				panel16 := make([]uint16, Pairs(n)*PanelN*2)
				TransposePanelBF16(panel16, packed16, n, k, 0, n, k0)
				PanelBF16(dx16[k0:], k, a16, m, n, panel16, min(PanelN, k-k0), false)
			}
			checkProduct(t, dx, nil, dy, wt, m, k, n, false)
			checkProduct(t, dx16, nil, dy, wt, m, k, n, true)
		}
	})
}

// TestWeightGradientOperands: dw = dyᵀ·x.
func TestWeightGradientOperands(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(4)
		m, n, k := 37, 15, 70
		dy, x := random(rng, m*n), random(rng, m*k)
		dyT, xT := make([]float32, n*m), make([]float32, k*m)
		for i := range m {
			for j := range n {
				dyT[j*m+i] = dy[i*n+j]
			}
			for j := range k {
				xT[j*m+i] = x[i*k+j]
			}
		}
		dw := make([]float32, n*k)
		a := make([]float32, n*m)
		PackColumns(a, dy, n, m, 0, n)
		panel := make([]float32, m*PanelN)
		for c := 0; c < k; c += PanelN {
			cols := min(PanelN, k-c)
			PanelOfRows(panel, x, k, m, c, cols)
			PanelF32(dw[c:], k, a, n, m, panel, cols, false)
		}
		checkProduct(t, dw, nil, dyT, xT, n, k, m, false)
	})
}

// TestWeightGradientPacking reads every value back, whole and narrow blocks,
// from a source that ends with the last value needed.
func TestWeightGradientPacking(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, cols := range []int{1, 6, 11, 12, 13, 24, 31, 32} {
			const m, first = 9, 5
			ld := first + cols
			x := random(newRand(6), m*ld)
			got, check := guarded(t, m*cols, 1)
			PackColumns(got, x, ld, m, first, cols)
			check()
			panel, check := guarded(t, m*PanelN, 1)
			PanelOfRows(panel, x, ld, m, first, cols)
			check()
			for i := range m {
				for j := range PanelN {
					var want float32
					if j < cols {
						want = x[i*ld+first+j]
						b, n := blockOf(j, cols)
						if g := got[b*m+i*n+j-b]; g != want {
							t.Fatalf("%d columns: row %d, column %d is %g, want %g", cols, i, j, g, want)
						}
					}
					if g := panel[i*PanelN+j]; g != want {
						t.Fatalf("%d columns: panel row %d, column %d is %g, want %g", cols, i, j, g, want)
					}
				}
			}
		}
	})
}

// blockOf returns the first row and the rows of the packed block that holds
// row i of m.
func blockOf(i, m int) (first, rows int) {
	for {
		if rows = nextTile(m - first); i < first+rows {
			return first, rows
		}
		first += rows
	}
}

// TestPieces: rows cut into pieces are packed and multiplied as the whole is.
func TestPieces(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for m := range 100 {
			at := 0
			for p := range RowBlocks(m) {
				lo, hi := BlockRange(m, p, p+1)
				if lo != at || hi <= lo {
					t.Fatalf("%d rows: piece %d is %d…%d after %d", m, p, lo, hi, at)
				}
				at = hi
				for i := lo; i < hi; i++ {
					first, rows := blockOf(i, m)
					if f, r := blockOf(i-lo, hi-lo); f+lo != first || r != rows {
						t.Fatalf("%d rows: row %d is in another block as part of piece %d", m, i, p)
					}
				}
			}
			if at != m {
				t.Fatalf("%d rows: pieces end at %d", m, at)
			}
		}
	})
}

// TestDisassembly has binutils read the instructions that Go's assembler has
// no name for.
func TestDisassembly(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("no objdump on this machine")
	}
	files, err := filepath.Glob("*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`LONG \$0x(..)(..)(..)62; WORD \$0x(..)(..) // (\w+) Z(\d+), Z(\d+), Z(\d+)`)
	var code []byte
	var want []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(source), -1) {
			b := func(s string) byte { var v byte; fmt.Sscanf(s, "%02x", &v); return v }
			code = append(code, 0x62, b(m[3]), b(m[2]), b(m[1]), b(m[5]), b(m[4]))
			want = append(want, fmt.Sprintf("%s %%zmm%s,%%zmm%s,%%zmm%s", strings.ToLower(m[6]), m[7], m[8], m[9]))
		}
	}
	if len(want) == 0 {
		t.Fatal("no encoded instruction found")
	}
	path := filepath.Join(t.TempDir(), "code.bin")
	if err := os.WriteFile(path, code, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", path).Output()
	if err != nil {
		t.Skipf("objdump cannot read raw code here: %v", err)
	}
	instruction := regexp.MustCompile(`\b(v\w+)\s+(%zmm\d+,%zmm\d+,%zmm\d+)`)
	var got []string
	for _, l := range strings.Split(string(out), "\n") {
		if m := instruction.FindStringSubmatch(l); m != nil {
			got = append(got, m[1]+" "+m[2])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("objdump sees %d instructions, the source has %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("instruction %d: objdump reads %q, the source says %q", i, got[i], want[i])
		}
	}
}

// FuzzProducts compares every level with the generic one on random shapes.
func FuzzProducts(f *testing.F) {
	f.Add(uint8(3), uint8(33), uint16(65), uint64(1), false)
	f.Add(uint8(13), uint8(1), uint16(1), uint64(2), true)
	f.Fuzz(func(t *testing.T, m8, n8 uint8, k16 uint16, seed uint64, bf16 bool) {
		m, n, k := int(m8)%30+1, int(n8)%80+1, int(k16)%1500+1
		rng := newRand(seed)
		x, w := random(rng, m*k), random(rng, n*k)
		for _, l := range cpu.Levels() {
			restore := cpu.Use(l)
			y := make([]float32, m*n)
			product(y, x, w, m, n, k, bf16, false)
			checkProduct(t, y, nil, x, w, m, n, k, bf16)
			restore()
		}
	})
}

// TestNextBlock: together the tiles prefetch every line of the block after theirs. A single tile prefetches at a fixed distance.
func TestNextBlock(t *testing.T) {
	const line = 64
	for _, k := range []int{128, 576, blockK} {
		size := 4 * PanelN * k
		for tiles := 2; tiles <= 200; tiles++ {
			seen := make([]bool, size/line)
			for tile := range tiles {
				ahead, step := nextBlock{size, tile, tiles}.prefetch()
				for i := range k {
					at := int(ahead) + i*int(step) - size
					for _, at := range []int{at, at + line} {
						if at < 0 || at > 2*size {
							t.Fatalf("k %d, tile %d of %d: prefetches at %d of a block of %d bytes", k, tile, tiles, at, size)
						}
						if at < size {
							seen[at/line] = true
						}
					}
				}
			}
			if at := slices.Index(seen, false); at >= 0 {
				t.Errorf("k %d, %d tiles: line %d of %d is not prefetched", k, tiles, at, len(seen))
			}
		}
		if ahead, step := (nextBlock{size, 0, 1}).prefetch(); ahead != prefetchAhead || step != 4*PanelN {
			t.Errorf("a single tile prefetches %d bytes ahead, %d per step", ahead, step)
		}
	}
}

// TestEvenBlocks: blocks cover k, are at most blockK and multiples of their unit.
func TestEvenBlocks(t *testing.T) {
	for _, unit := range []int{1, sumBlock} {
		for k := 1; k < 5*blockK; k += 7 {
			block := evenBlocks(k, unit)
			if block < 1 || block > blockK || block%unit != 0 {
				t.Fatalf("%d values are divided into blocks of %d, in units of %d", k, block, unit)
			}
			if n := (k + block - 1) / block; n > (k+blockK-1)/blockK {
				t.Fatalf("%d values are divided into %d blocks of %d", k, n, block)
			}
		}
	}
}

func BenchmarkPanels(b *testing.B) {
	for _, s := range [][3]int{{1, 2304, 2304}, {8, 2304, 2304}, {64, 2304, 9216}, {512, 2304, 2304}, {2048, 2048, 512}} {
		m, n, k := s[0], s[1], s[2]
		for _, bf16 := range []bool{false, true} {
			b.Run(fmt.Sprintf("m%d_n%d_k%d_bf16=%v", m, n, k, bf16), func(b *testing.B) {
				rng := newRand(5)
				x, w := random(rng, m*k), random(rng, n*k)
				row := make([]float32, k)
				src := func(i int, row []float32) { copy(row, w[i*k:(i+1)*k]) }
				y := make([]float32, m*n)
				packed, packed16 := make([]float32, PackedF32(n, k)), make([]uint16, PackedBF16(n, k))
				a := make([]float32, max(m*k, PackedRowsBF16(m, k)))
				for p := range Panels(n) {
					PackPanelF32(packed[p*k*PanelN:], p, n, k, src, row)
					PackPanelBF16(packed16[p*Pairs(k)*PanelN*2:], p, n, k, src, row)
				}
				for b.Loop() {
					if bf16 {
						PackRowsBF16(a, x, k, m, k)
					} else {
						PackRowsF32(a, x, k, m, k)
					}
					for p := range Panels(n) {
						if bf16 {
							PanelBF16(y[p*PanelN:], n, a, m, k, packed16[p*Pairs(k)*PanelN*2:], PanelN, false)
						} else {
							PanelF32(y[p*PanelN:], n, a, m, k, packed[p*k*PanelN:], PanelN, false)
						}
					}
				}
				flops := 2 * float64(m) * float64(n) * float64(k) * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(flops/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkPeak(b *testing.B) {
	for _, dt := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		b.Run(string(dt), func(b *testing.B) {
			var flops float64
			for b.Loop() {
				flops += Peak(1e6, dt)
			}
			b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
