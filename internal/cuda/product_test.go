//go:build cuda && linux

package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
)

// matrices of one product, on the device and on the host.
type matrices struct {
	b             *bench
	T, N, K       int
	ldx, ldw      int
	x, w, bias    []float32
	px, pw, pbias cuda.Pointer
}

func (b *bench) matrices(T, N, K, pad int) *matrices {
	draw := func(n int) []float32 { return b.normal(n, 1, dtype.BF16) }
	return b.matricesOf(draw, T, N, K, pad)
}

func (b *bench) matricesOf(draw func(n int) []float32, T, N, K, pad int) *matrices {
	m := &matrices{b: b, T: T, N: N, K: K, ldx: K + pad, ldw: K + pad}
	m.x, m.w, m.bias = draw(T*m.ldx), draw(N*m.ldw), b.normal(N, 1, dtype.F32)
	m.px, m.pw, m.pbias = b.put(dtype.Narrow(dtype.BF16, m.x)), b.put(dtype.Narrow(dtype.BF16, m.w)), b.put(dtype.Bytes(m.bias))
	return m
}

// run computes the first T rows into y, whose rows have ldy values.
func (m *matrices) run(p cuda.Product, y cuda.Pointer, T, ldy int, bias bool, flags int) {
	o := cuda.Operands{Y: y, X: m.px, W: m.pw, T: T, N: m.N, K: m.K, Ldx: m.ldx, Ldw: m.ldw, Ldy: ldy, Flags: flags}
	if bias {
		o.Bias = m.pbias
	}
	p.Launch(m.b.Compute, o)
}

// row returns one row of the product in float64 and the sums of its terms' magnitudes.
func (m *matrices) row(t int) (sum, size []float64) {
	sum, size = make([]float64, m.N), make([]float64, m.N)
	for n := range sum {
		for k := range m.K {
			term := float64(m.x[t*m.ldx+k]) * float64(m.w[n*m.ldw+k])
			sum[n] += term
			size[n] += math.Abs(term)
		}
	}
	return sum, size
}

// Each product kernel against float64, at sizes around the tiles and with rows that are longer than
// the product needs.
func TestProducts(t *testing.T) {
	b := newBench(t)
	shapes := [][4]int{{1, 16, 16, 0}, {5, 40, 72, 8}, {64, 130, 136, 0}, {150, 67, 200, 56}}
	if cudatest.Large() {
		shapes = append(shapes, [4]int{1, 2304, 2304, 0}, [4]int{64, 9216, 2304, 16}, [4]int{300, 2304, 9216, 0}, [4]int{513, 4608, 2304, 128})
	}
	for _, s := range shapes {
		m := b.matrices(s[0], s[1], s[2], s[3])
		rows := []int{0, m.T / 2, m.T - 1}
		if !cudatest.Large() {
			rows = rows[:0]
			for r := range m.T {
				rows = append(rows, r)
			}
		}
		references := map[int][2][]float64{}
		for _, r := range rows {
			sum, size := m.row(r)
			references[r] = [2][]float64{sum, size}
		}
		for _, p := range b.kernels.Products(cuda.ProductBF16) {
			for _, flags := range []int{0, cuda.OutF32, cuda.OutF32 | cuda.Accumulate} {
				m.checkProduct(p, flags, references)
			}
		}
	}
}

func (m *matrices) checkProduct(p cuda.Product, flags int, references map[int][2][]float64) {
	t, b := m.b.t, m.b
	t.Helper()
	dt, ldy := dtype.BF16, m.N+m.N%2+6
	if flags&cuda.OutF32 != 0 {
		dt = dtype.F32
	}
	before := b.normal(m.T*ldy, 1, dt)
	y := b.put(dtype.Narrow(dt, before))
	m.run(p, y, m.T, ldy, true, flags)
	got := b.get(y, dt, m.T*ldy)
	for i, v := range got {
		r, n := i/ldy, i%ldy
		if n >= m.N {
			if v != before[i] {
				t.Fatalf("%s %v: wrote behind row %d", p.Name, m.shape(), r)
			}
			continue
		}
		reference, ok := references[r]
		if !ok {
			if v != v {
				t.Fatalf("%s %v: NaN in row %d", p.Name, m.shape(), r)
			}
			continue
		}
		want := reference[0][n] + float64(m.bias[n])
		allowed := 2e-6*reference[1][n] + 1e-6*(math.Abs(want)+1)
		if flags&cuda.Accumulate != 0 {
			want += float64(before[i])
		}
		if dt == dtype.BF16 {
			allowed += bf16Half * math.Abs(want)
		}
		if d := math.Abs(float64(v) - want); !(d <= allowed) {
			t.Fatalf("%s %v flags %d: [%d,%d] is %g, want %g", p.Name, m.shape(), flags, r, n, v, want)
		}
	}
}

func (m *matrices) shape() string { return fmt.Sprintf("T=%d N=%d K=%d", m.T, m.N, m.K) }

// Invariance: the bits of a row are the same for every number of rows and in every kernel, those by
// mma and those by wgmma.
func TestInvariance(t *testing.T) {
	b := newBench(t)
	N, K, counts := 72, 144, []int{1, 2, 7, 8, 9, 17, 33, 64, 65, 129}
	if cudatest.Large() {
		N, K, counts = 1152, 2304, nil
		for T := 1; T <= 300; T++ {
			counts = append(counts, T)
		}
	}
	for name, draw := range map[string]func(int) []float32{
		"normal values":    func(n int) []float32 { return b.normal(n, 1, dtype.BF16) },
		"magnitudes apart": b.wide,
	} {
		runs := b.matricesOf(draw, counts[len(counts)-1], N, K, 0).invariant(name, counts)
		t.Logf("%s: %d products of 1 to %d rows by %d kernels, N=%d K=%d: equal bits",
			name, runs, counts[len(counts)-1], len(b.kernels.Products(cuda.ProductBF16)), N, K)
	}
}

// invariant computes the first T rows by every kernel, for every T of counts, compares the bits, and
// returns the number of products.
func (m *matrices) invariant(name string, counts []int) (runs int) {
	b, N := m.b, m.N
	y := b.alloc(4 * m.T * N)
	m.run(b.kernels.Products(cuda.ProductBF16)[0], y, m.T, N, false, cuda.OutF32)
	want := b.get(y, dtype.F32, m.T*N)
	for _, T := range counts {
		for _, p := range b.kernels.Products(cuda.ProductBF16) {
			b.Compute.Fill(y, 0xff, 4*T*N)
			m.run(p, y, T, N, false, cuda.OutF32)
			runs++
			for i, v := range b.get(y, dtype.F32, T*N) {
				if math.Float32bits(v) != math.Float32bits(want[i]) {
					b.t.Fatalf("%s, %s with %d rows: [%d,%d] is %g, with %d rows %g", name, p.Name, T, i/N, i%N, v, m.T, want[i])
				}
			}
		}
	}
	return runs
}

// A write behind an allocation, for check.sh to see that compute-sanitizer reports one.
func TestPlantedFault(t *testing.T) {
	if os.Getenv("BARKA_GPU_FAULT") == "" {
		t.Skip("runs under compute-sanitizer alone, with BARKA_GPU_FAULT set")
	}
	b := newBench(t)
	p := b.alloc(1024)
	b.Compute.Launch(b.kernel("nothing"), 1, 1, cuda.Argument(p+1024))
	check(t, b.Synchronize())
}

// Chips without machine code of their own run the PTX, which the driver translates.
func TestPTX(t *testing.T) {
	g := cudatest.Open(t)
	g.Major, g.Minor = 12, 0
	b := &bench{g, t, must[*cuda.Kernels](t)(g.LoadKernels()), rand.New(rand.NewPCG(5, 6))}
	t.Log("images: ", b.kernels.Images)
	m := b.matrices(70, 130, 136, 0)
	references := map[int][2][]float64{}
	for _, r := range []int{0, 69} {
		sum, size := m.row(r)
		references[r] = [2][]float64{sum, size}
	}
	for _, p := range b.kernels.Products(cuda.ProductBF16) {
		m.checkProduct(p, cuda.OutF32, references)
	}
}

// The position of a row or column in an mma's tile does not matter to the bits of its products, nor
// does which of the two operands it is.
func TestTilePositions(t *testing.T) {
	b := newBench(t)
	const count = 256
	x, w, c := b.wide(count*16*16), b.wide(count*8*16), b.wide(count*16*8)
	run := func(a, bb, c []float32) []float32 {
		d := b.alloc(4 * count * 128)
		b.Compute.Launch(b.kernel("mma_probe"), count, 1, cuda.Argument(d), cuda.Argument(b.put(dtype.Bytes(c))),
			cuda.Argument(b.put(dtype.Narrow(dtype.BF16, a))), cuda.Argument(b.put(dtype.Narrow(dtype.BF16, bb))))
		return b.get(d, dtype.F32, count*128)
	}
	want := run(x, w, c)
	for shift := 1; shift < 16; shift++ {
		a, bb, cc := make([]float32, len(x)), make([]float32, len(w)), make([]float32, len(c))
		for p := range count {
			for r := range 16 {
				copy(a[(p*16+(r+shift)%16)*16:][:16], x[(p*16+r)*16:])
				for n := range 8 {
					cc[p*128+(r+shift)%16*8+(n+shift)%8] = c[p*128+r*8+n]
				}
			}
			for n := range 8 {
				copy(bb[(p*8+(n+shift)%8)*16:][:16], w[(p*8+n)*16:])
			}
		}
		got := run(a, bb, cc)
		for i, v := range want {
			p, r, n := i/128, i/8%16, i%8
			if g := got[p*128+(r+shift)%16*8+(n+shift)%8]; math.Float32bits(g) != math.Float32bits(v) {
				t.Fatalf("row %d, column %d moved by %d: %g, before %g", r, n, shift, g, v)
			}
		}
	}
	// The operands change places: the first 8 rows of a become b.
	a, bb, cc := make([]float32, len(x)), make([]float32, len(w)), make([]float32, len(c))
	for p := range count {
		for n := range 8 {
			copy(bb[(p*8+n)*16:][:16], x[(p*16+n)*16:])
			copy(a[(p*16+n)*16:][:16], w[(p*8+n)*16:])
			for r := range 8 {
				cc[p*128+n*8+r] = c[p*128+r*8+n]
			}
		}
	}
	got := run(a, bb, cc)
	for p := range count {
		for r := range 8 {
			for n := range 8 {
				if g, v := got[p*128+n*8+r], want[p*128+r*8+n]; math.Float32bits(g) != math.Float32bits(v) {
					t.Fatalf("operands exchanged: %g, before %g", g, v)
				}
			}
		}
	}
	t.Logf("%d products with 15 shifts of rows and columns, and with operands exchanged: equal bits", count)
}
