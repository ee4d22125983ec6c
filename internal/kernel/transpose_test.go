package kernel

import (
	"math"
	"testing"

	"barka/internal/cpu"
	"barka/internal/dtype"
)

func TestPackRowsF32(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, m := range []int{1, 2, 5, 11, 12, 13, 25} {
			for _, k := range []int{0, 1, 15, 16, 17, 48, 65} {
				ld := k + 3
				x := random(newRand(3), m*ld+1)
				got, check := guarded(t, m*k, 1)
				PackRowsF32(got, x, ld, m, k)
				check()
				for i := range m {
					b, rows := blockOf(i, m)
					for c := range k {
						if g := got[b*k+c*rows+i-b]; g != x[i*ld+c] {
							t.Fatalf("m %d, k %d: value at row %d, column %d is %g, want %g", m, k, i, c, g, x[i*ld+c])
						}
					}
				}
			}
		}
	})
}

// TestPackRowsBF16 compares with conversion value by value, ties, infinities
// and NaN among them.
func TestPackRowsBF16(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, m := range []int{1, 3, 12, 17} {
			for _, k := range []int{1, 2, 31, 32, 33, 64, 97} {
				x := random(newRand(3), m*k)
				for i, bits := range []uint32{0x3f808000, 0x3f818000, 0x7f800000, 0xff800000, 0x7fc00001, 0x80000000, 0x7f7fffff} {
					if i < len(x) {
						x[i] = math.Float32frombits(bits)
					}
				}
				got, check := guarded(t, PackedRowsBF16(m, k), 1)
				PackRowsBF16(got, x, k, m, k)
				check()
				if cpu.Current() != cpu.AVX512BF16 {
					continue // float32, covered by the products
				}
				words, pairs := view32(got), Pairs(k)
				for i := range m {
					b, rows := blockOf(i, m)
					for c := range k {
						w := words[b*pairs+c/2*rows+i-b]
						if g, want := uint16(w>>(16*(c%2))), dtype.ToBF16(x[i*k+c]); g != want {
							t.Fatalf("m %d, k %d: value at row %d, column %d is %#x, want %#x", m, k, i, c, g, want)
						}
					}
				}
			}
		}
	})
}

// TestTransposePanels packs a matrix and reads it back from the transposed
// panels.
func TestTransposePanels(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, shape := range [][2]int{{32, 32}, {64, 96}, {70, 50}, {33, 34}, {96, 31}} {
			n, k := shape[0], shape[1]
			w := random(newRand(3), n*k)
			row := make([]float32, k)
			src := func(i int, to []float32) { copy(to, w[i*k:(i+1)*k]) }
			f32, bf16 := make([]float32, PackedF32(n, k)), make([]uint16, PackedBF16(n, k))
			for p := range Panels(n) {
				PackPanelF32(f32[p*k*PanelN:], p, n, k, src, row)
				PackPanelBF16(bf16[p*Pairs(k)*PanelN*2:], p, n, k, src, row)
			}
			for n0 := 0; n0 < n; n0 += 32 {
				n1 := min(n0+64, n)
				for k0 := 0; k0 < k; k0 += PanelN {
					panel := make([]float32, (n1-n0)*PanelN)
					TransposePanelF32(panel, f32, n, k, n0, n1, k0)
					pairs := make([]uint16, Pairs(n1-n0)*PanelN*2)
					TransposePanelBF16(pairs, bf16, n, k, n0, n1, k0)
					for i := n0; i < n1; i++ {
						for c := k0; c < min(k0+PanelN, k); c++ {
							want := w[i*k+c]
							if g := panel[(i-n0)*PanelN+c-k0]; g != want {
								t.Fatalf("%v: float32 at %d, %d is %g, want %g", shape, i, c, g, want)
							}
							if g := pairs[((i-n0)/2*PanelN+c-k0)*2+(i-n0)%2]; g != dtype.ToBF16(want) {
								t.Fatalf("%v: bfloat16 at %d, %d is %#x, want %#x", shape, i, c, g, dtype.ToBF16(want))
							}
						}
					}
				}
			}
		}
	})
}

func TestTransposeRefusesWhatDoesNotFit(t *testing.T) {
	for name, f := range map[string]func(){
		"short destination": func() {
			at := evenly(0, 16, 16)
			transposeRows(make([]uint32, 255), 16, make([]uint32, 256), &at, 16, 16)
		},
		"row outside": func() {
			at := evenly(1, 16, 16)
			transposeRows(make([]uint32, 256), 16, make([]uint32, 256), &at, 16, 16)
		},
	} {
		if !panics(f) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func BenchmarkTranspose(b *testing.B) {
	const n, k = 4096, 32
	w := make([]uint16, PackedBF16(n, 2304))
	panel := make([]uint16, Pairs(n)*PanelN*2)
	x, packed := random(newRand(3), 120*2304), make([]float32, 120*2304)
	columns := make([]float32, max(512*PanelN, 120*512))
	rows := random(newRand(3), 512*2304)
	for name, f := range map[string]func() int64{
		"PanelOfRows": func() int64 { PanelOfRows(columns, rows, 2304, 512, 64, PanelN); return 4 * 512 * PanelN },
		"PackColumns": func() int64 { PackColumns(columns, rows, 2304, 512, 120, 120); return 4 * 512 * 120 },
		"PanelBF16":   func() int64 { TransposePanelBF16(panel, w, n, 2304, 0, n, 64); return 2 * n * k },
		"RowsF32":     func() int64 { PackRowsF32(packed, x, 2304, 120, 2304); return 4 * 120 * 2304 },
		"RowsBF16":    func() int64 { PackRowsBF16(packed, x, 2304, 120, 2304); return 4 * 120 * 2304 },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.SetBytes(f())
			}
		})
	}
}
