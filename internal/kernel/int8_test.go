package kernel

import (
	"fmt"
	"math"
	"testing"

	"barka/internal/cpu"
)

func packI8(w []float32, n, k int) []byte {
	p := make([]byte, PackedI8(n, k))
	row := make([]float32, ScratchI8(k))
	for i := range Panels(n) {
		PackPanelI8(p[i*PanelBytesI8(k):], i, n, k, func(i int, row []float32) { copy(row, w[i*k:]) }, row)
	}
	return p
}

func productI8(y, x []float32, w []byte, m, n, k int, accumulate bool) {
	a := make([]float32, PackedRowsI8(m, k))
	PackRowsI8(a, x, k, m, k, make([]float32, ScratchI8(k)))
	for p := range Panels(n) {
		PanelI8(y[min(p*PanelN, len(y)):], n, a, m, k, w[p*PanelBytesI8(k):], min(PanelN, n-p*PanelN), accumulate)
	}
}

// quantized is the definition: the integers of a row and the scales of its blocks.
// weights have scales in bfloat16.
func quantized(row []float32, weights bool) (q []int64, scales []float32) {
	row = append([]float32(nil), row...)
	Hadamard(row)
	q = make([]int64, len(row))
	for at := 0; at < len(row); at += blockI8 {
		block := row[at:min(at+blockI8, len(row))]
		var top float32
		for _, v := range block {
			top = max(top, float32(math.Abs(float64(v))))
		}
		scale, inv := top/127, 127/top
		if weights {
			bits := math.Float32bits(scale)
			if bits&0xffff != 0 {
				bits = bits&^0xffff + 1<<16
			}
			scale = math.Float32frombits(bits)
			inv = 1 / scale
		}
		scales = append(scales, scale)
		for i, v := range block {
			if top > 0 {
				q[at+i] = int64(math.RoundToEven(float64(v * inv)))
			}
		}
	}
	return q, scales
}

// checkI8 expects the bits of the definition, at every level.
func checkI8(t *testing.T, y, before, x, w []float32, m, n, k int) {
	t.Helper()
	for j := range n {
		qw, sw := quantized(w[j*k:(j+1)*k], true)
		for i := range m {
			qx, sx := quantized(x[i*k:(i+1)*k], false)
			var want float32
			if before != nil {
				want = before[i*n+j]
			}
			for b := range sw {
				var sum int64
				for p := b * blockI8; p < min((b+1)*blockI8, k); p++ {
					sum += qx[p] * qw[p]
				}
				v := float32(float32(float32(sum)*sw[b]) * sx[b])
				if b == 0 && before == nil {
					want = v // not 0 + v: the sign of zero
				} else {
					want += v
				}
			}
			if math.Float32bits(y[i*n+j]) != math.Float32bits(want) && !(want == 0 && y[i*n+j] == 0) {
				t.Fatalf("%s, m %d n %d k %d: y[%d,%d] = %g, want %g", cpu.Current(), m, n, k, i, j, y[i*n+j], want)
			}
		}
	}
}

func TestProductsI8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(1)
		sizes := [][3]int{{0, 5, 3}, {2, 5, 0}, {1, 1, 1}, {1, 32, 16}, {2, 31, 7}, {3, 33, 2}, {5, 64, 33},
			{12, 32, 64}, {12, 32, 128}, {6, 64, 65}, {1, 33, 200}, {13, 96, 17}, {25, 3, 100}, {7, 34, 2100}, {29, 65, 1025}}
		for m := 1; m <= 26; m++ {
			sizes = append(sizes, [3]int{m, 37, 19})
		}
		for k := 1; k <= 40; k++ {
			sizes = append(sizes, [3]int{3, 33, k})
		}
		for _, s := range sizes {
			m, n, k := s[0], s[1], s[2]
			x, w := random(rng, m*k), random(rng, n*k)
			for _, accumulate := range []bool{false, true} {
				y, check := guarded(t, m*n, m%3)
				var before []float32
				if accumulate {
					before = random(rng, m*n)
					copy(y, before)
				}
				productI8(y, x, packI8(w, n, k), m, n, k, accumulate)
				check()
				checkI8(t, y, before, x, w, m, n, k)
			}
		}
	})
}

// TestExtremesI8: the largest sums of a block, of either sign, are exact; rows of nothing
// are nothing; values that are not finite stay so.
func TestExtremesI8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n, k = 33, 4 * hadamardLength
		ones, w := make([]float32, k), make([]float32, n*k)
		for i := range ones {
			ones[i] = 1
		}
		Hadamard(ones) // so that the rotated row has the same magnitude throughout
		for j := range n {
			for i := range k {
				w[j*k+i] = ones[i] * float32(1-2*(j%2))
			}
		}
		y := make([]float32, n)
		packed := packI8(w, n, k)
		productI8(y, ones, packed, 1, n, k, false)
		checkI8(t, y, nil, ones, w, 1, n, k)
		if y[0] < 0.98*k || y[1] > -0.98*k {
			t.Errorf("products of ones are %g and %g, want about ±%d", y[0], y[1], k)
		}
		x := make([]float32, 3*k)
		x[k] = float32(math.Inf(1))
		x[2*k+5] = float32(math.NaN())
		y = make([]float32, 3*n)
		productI8(y, x, packed, 3, n, k, false)
		for j := range n {
			if y[j] != 0 || y[n+j] == y[n+j] || y[2*n+j] == y[2*n+j] {
				t.Fatalf("output %d: %g of zeros, %g of an infinity, %g of NaN", j, y[j], y[n+j], y[2*n+j])
			}
		}
		tiny := []float32{1e-44, -1e-44, 0, 1e-44} // 127 over it is infinite
		y = make([]float32, 1)
		productI8(y, tiny, packI8([]float32{1, 1, 1, 1}, 1, 4), 1, 1, 4, false)
		if y[0] != 0 {
			t.Errorf("a product of the smallest numbers is %g", y[0])
		}
	})
}

// TestOutliersI8: one value that is a thousand times as large as the others costs the
// product a hundredth of its size, where a common scale without rotation rounds the
// others to nothing.
func TestOutliersI8(t *testing.T) {
	rng := newRand(4)
	const k = 1536
	x, w := random(rng, k), random(rng, k)
	x[700] *= 1000
	w[700] = 0
	y, want := make([]float32, 1), 0.0
	productI8(y, x, packI8(w, 1, k), 1, 1, k, false)
	for i := range x {
		want += float64(x[i]) * float64(w[i])
	}
	if math.Abs(float64(y[0])-want) > 15 {
		t.Errorf("the product is %g, want %g", y[0], want)
	}
}

// TestQuantizeRounding: ties go to the even integer, in blocks and beyond.
func TestQuantizeRounding(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := []float32{0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, 0.49999997, 127, -127, 63.5, 0, -0.25, 3, 3.5}
		want := []int16{0, 2, 2, 0, -2, -2, 126, -126, 0, 127, -127, 64, 0, 0, 3, 4}
		for n := range 40 {
			row := make([]float32, n)
			for i := range row {
				row[i] = x[i%len(x)]
			}
			got := make([]int16, n+1)
			got[n] = 77
			quantizeRow(got, row, 1)
			for i := range row {
				if got[i] != want[i%len(x)] {
					t.Fatalf("%g becomes %d, want %d", row[i], got[i], want[i%len(x)])
				}
			}
			if got[n] != 77 {
				t.Fatalf("length %d: wrote beyond", n)
			}
		}
	})
}

// TestProductRowsStandAloneI8: as for the other types.
func TestProductRowsStandAloneI8(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand(2)
		m, n, k := 31, 45, 1100
		x, w := random(rng, m*k), packI8(random(rng, n*k), n, k)
		whole, part := make([]float32, m*n), make([]float32, n)
		productI8(whole, x, w, m, n, k, false)
		for i := range m {
			productI8(part, x[i*k:], w, 1, n, k, false)
			for j, v := range part {
				if v != whole[i*n+j] {
					t.Fatalf("row %d: value %d differs: %g, %g", i, j, v, whole[i*n+j])
				}
			}
		}
	})
}

// TestTransposePanelI8 reads the rotated weights back, as bfloat16.
func TestTransposePanelI8(t *testing.T) {
	for _, shape := range [][2]int{{32, 32}, {64, 96}, {70, 50}, {33, 34}, {96, 31}, {5, 3}, {40, 200}} {
		n, k := shape[0], shape[1]
		w := random(newRand(3), n*k)
		packed := packI8(w, n, k)
		for n0 := 0; n0 < n; n0 += 32 {
			n1 := min(n0+64, n)
			for k0 := 0; k0 < k; k0 += PanelN {
				panel := make([]uint16, Pairs(n1-n0)*PanelN*2+1)
				for i := range panel {
					panel[i] = 0x7fc0 // NaN, to be overwritten
				}
				TransposePanelI8(panel[:len(panel)-1], packed, n, k, n0, n1, k0)
				for i := n0; i < n0+2*Pairs(n1-n0); i++ {
					for c := range PanelN {
						want := []float32{0}
						if i < n && k0+c < k {
							q, s := quantized(w[i*k:(i+1)*k], true)
							want[0] = float32(q[k0+c]) * s[(k0+c)/blockI8]
						}
						RoundBF16(want)
						got := math.Float32frombits(uint32(panel[((i-n0)/2*PanelN+c)*2+(i-n0)%2]) << 16)
						if got != want[0] {
							t.Fatalf("%v: value at %d, %d is %g, want %g", shape, i, k0+c, got, want[0])
						}
					}
				}
				if panel[len(panel)-1] != 0x7fc0 {
					t.Fatalf("%v: wrote beyond the panel", shape)
				}
			}
		}
	}
}

// FuzzProductsI8 expects the bits of the definition of every level.
func FuzzProductsI8(f *testing.F) {
	f.Add(uint8(3), uint8(33), uint16(65), uint64(1), uint8(0))
	f.Add(uint8(13), uint8(1), uint16(1), uint64(2), uint8(9))
	f.Fuzz(func(t *testing.T, m8, n8 uint8, k16 uint16, seed uint64, spread uint8) {
		m, n, k := int(m8)%30+1, int(n8)%80+1, int(k16)%1500+1
		rng := newRand(seed)
		x, w := random(rng, m*k), random(rng, n*k)
		for i := range x { // outliers, as models have them
			if rng.IntN(50) == 0 {
				x[i] *= float32(int(1) << (spread % 16))
			}
		}
		for _, l := range cpu.Levels() {
			restore := cpu.Use(l)
			y := make([]float32, m*n)
			productI8(y, x, packI8(w, n, k), m, n, k, false)
			checkI8(t, y, nil, x, w, m, n, k)
			restore()
		}
	})
}

func BenchmarkPanelsI8(b *testing.B) {
	for _, s := range [][3]int{{1, 2304, 2304}, {8, 2304, 2304}, {64, 768, 9216}, {512, 768, 2304}} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("m%d_n%d_k%d", m, n, k), func(b *testing.B) {
			rng := newRand(5)
			x, w := random(rng, m*k), packI8(random(rng, n*k), n, k)
			y := make([]float32, m*n)
			for b.Loop() {
				productI8(y, x, w, m, n, k, false)
			}
			b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
		})
	}
}
