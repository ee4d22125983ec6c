//go:build cuda && linux

package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"barka/internal/cuda"
	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
)

// bench is a GPU with its kernels and the memory of one test.
type bench struct {
	*cuda.GPU
	t       testing.TB
	kernels *cuda.Kernels
	random  *rand.Rand
}

func newBench(t testing.TB) *bench {
	g := cudatest.Open(t)
	return &bench{g, t, must[*cuda.Kernels](t)(g.LoadKernels()), rand.New(rand.NewPCG(3, 4))}
}

func (b *bench) alloc(bytes int) cuda.Pointer {
	b.t.Helper()
	p := must[cuda.Pointer](b.t)(b.Alloc(max(bytes, 1)))
	b.t.Cleanup(func() {
		if b.Err() == nil {
			check(b.t, b.Free(p))
		}
	})
	return p
}

func (b *bench) put(bytes []byte) cuda.Pointer {
	b.t.Helper()
	p := b.alloc(len(bytes))
	check(b.t, b.Upload(p, bytes))
	return p
}

func (b *bench) get(p cuda.Pointer, dt dtype.DType, n int) []float32 {
	b.t.Helper()
	bytes := make([]byte, n*dt.Size())
	check(b.t, b.Download(bytes, p))
	return must[[]float32](b.t)(dtype.Float32s(dt, bytes))
}

// normal draws n values of the given spread, rounded to dt.
func (b *bench) normal(n int, spread float64, dt dtype.DType) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(b.random.NormFloat64() * spread)
		if dt == dtype.BF16 {
			v[i] = dtype.RoundBF16(v[i])
		}
	}
	return v
}

// wide draws values of magnitudes between 2^-20 and 2^20, whose sums show the order of adding.
func (b *bench) wide(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = dtype.RoundBF16(float32(math.Ldexp(b.random.NormFloat64(), b.random.IntN(41)-20)))
	}
	return v
}

func (b *bench) kernel(name string) *cuda.Function {
	b.t.Helper()
	f := b.kernels.Function(name)
	if f == nil {
		b.t.Fatalf("no kernel %s", name)
	}
	return f
}

// near compares with a float64 reference: each value may be off by relative of its size and by
// absolute.
func near(t testing.TB, what string, got []float32, want []float64, relative, absolute float64) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= relative*math.Abs(w)+absolute) {
			t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], w)
		}
	}
}

const (
	bf16Half = 1.0 / 256 // half a unit in the last place of a bfloat16, relative
	f32Few   = 4e-6      // some operations in float32
)

func TestRMSNorm(t *testing.T) {
	b := newBench(t)
	for _, d := range []int{1, 31, 256, 257, 2304, 5120} {
		const rows, eps = 5, 1e-6
		x, w := b.normal(rows*d, 3, dtype.F32), b.normal(d, 1, dtype.F32)
		for _, plusOne := range []int{0, 1} {
			want := make([]float64, rows*d)
			for r := range rows {
				sum := 0.0
				for _, v := range x[r*d : (r+1)*d] {
					sum += float64(v) * float64(v)
				}
				for i, v := range x[r*d : (r+1)*d] {
					want[r*d+i] = float64(v) / math.Sqrt(sum/float64(d)+eps) * (float64(w[i]) + float64(plusOne))
				}
			}
			px, pw := b.put(dtype.Bytes(x)), b.put(dtype.Bytes(w))
			for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
				y := b.alloc(rows * d * dt.Size())
				name := map[dtype.DType]string{dtype.F32: "rms_norm_f32", dtype.BF16: "rms_norm_bf16"}[dt]
				b.Compute.Launch(b.kernel(name), rows, 1, cuda.Argument(y), cuda.Argument(px), cuda.Argument(pw),
					cuda.Int(d), cuda.Float(eps), cuda.Int(plusOne))
				near(t, fmt.Sprint(name, " of ", d), b.get(y, dt, rows*d), want, tolerance(dt), 1e-7)
			}
		}
	}
}

func tolerance(dt dtype.DType) float64 {
	if dt == dtype.BF16 {
		return bf16Half
	}
	return f32Few
}

func TestAdd(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{1, 1000, 5000} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			y, x := b.normal(n, 1, dtype.F32), b.normal(n, 1, dt)
			want := make([]float64, n)
			for i := range want {
				want[i] = float64(y[i] + x[i])
			}
			py, px := b.put(dtype.Bytes(y)), b.put(dtype.Narrow(dt, x))
			name := map[dtype.DType]string{dtype.F32: "add_f32", dtype.BF16: "add_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), 3, 1, cuda.Argument(py), cuda.Argument(px), cuda.Size(n))
			near(t, name, b.get(py, dtype.F32, n), want, 0, 0)
		}
	}
}

func TestGate(t *testing.T) {
	b := newBench(t)
	const rows = 3
	for _, f := range []int{301, 2 * 8 * 256} { // the second by eight values throughout
		b.testGate(rows, f)
	}
}

func (b *bench) testGate(rows, f int) {
	t := b.t
	activations := []func(float64) float64{
		func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
		func(x float64) float64 { return x / (1 + math.Exp(-x)) },
		func(x float64) float64 { return max(x, 0) },
	}
	for act, of := range activations {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			// Gate and up are the halves of one row; the spread reaches far tails.
			x := b.normal(rows*2*f, 4, dt)
			copy(x, []float32{0, -100, 100, -20, 20, -1e-3, 1e-3, 0.5, -0.5})
			want := make([]float64, rows*f)
			for i := range want {
				at := i/f*2*f + i%f
				want[i] = of(float64(x[at])) * float64(x[at+f])
			}
			px, y := b.put(dtype.Narrow(dt, x)), b.alloc(rows*f*dt.Size())
			name := map[dtype.DType]string{dtype.F32: "gate_f32", dtype.BF16: "gate_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), (f+8*256-1)/(8*256), rows, cuda.Argument(y), cuda.Argument(px),
				cuda.Argument(px)+cuda.Argument(f*dt.Size()), cuda.Int(f), cuda.Int(2*f), cuda.Int(act))
			near(t, fmt.Sprint(name, " ", act), b.get(y, dt, rows*f), want, tolerance(dt)+2e-6, 4e-6)
		}
	}
}

func TestRotary(t *testing.T) {
	b := newBench(t)
	const rows, heads, width, pairs, scale = 4, 3, 20, 8, 1.5 // the last 4 values of a head stay
	positions := []int32{0, 1, 777, 131071}
	freqs := make([]float32, pairs)
	for i := range freqs {
		freqs[i] = float32(math.Pow(10000, -float64(i)/pairs))
	}
	places := make([]byte, 4*rows)
	for i, p := range positions {
		binary.LittleEndian.PutUint32(places[4*i:], uint32(p))
	}
	for _, inverse := range []int{0, 1} {
		for _, dt := range []dtype.DType{dtype.F32, dtype.BF16} {
			x := b.normal(rows*heads*width, 1, dt)
			want := make([]float64, len(x))
			for i, v := range x {
				row, in := i/(heads*width), i%width
				want[i] = float64(v)
				if in >= 2*pairs {
					continue
				}
				angle := float64(float32(positions[row]) * freqs[in%pairs])
				sin, cos := math.Sincos(angle)
				if inverse == 1 {
					sin = -sin
				}
				if in < pairs {
					want[i] = scale * (float64(v)*cos - float64(x[i+pairs])*sin)
				} else {
					want[i] = scale * (float64(v)*cos + float64(x[i-pairs])*sin)
				}
			}
			px := b.put(dtype.Narrow(dt, x))
			name := map[dtype.DType]string{dtype.F32: "rotary_f32", dtype.BF16: "rotary_bf16"}[dt]
			b.Compute.Launch(b.kernel(name), rows, 1, cuda.Argument(px), cuda.Argument(b.put(places)),
				cuda.Argument(b.put(dtype.Bytes(freqs))), cuda.Int(heads), cuda.Int(width), cuda.Int(pairs),
				cuda.Int(heads*width), cuda.Float(scale), cuda.Int(inverse))
			near(t, name, b.get(px, dt, len(x)), want, tolerance(dt), 2e-6)
		}
	}
}

func TestEmbedAndConvert(t *testing.T) {
	b := newBench(t)
	const vocabulary, d, scale = 11, 300, 47.9
	x := b.normal(vocabulary*d, 1, dtype.F32)
	bad := b.put(make([]byte, 4))
	table := b.alloc(2 * len(x))
	b.Compute.Launch(b.kernel("convert_bf16"), 2, 1, cuda.Argument(table), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Size(len(x)), cuda.Argument(bad))
	rounded := b.get(table, dtype.BF16, len(x))
	want := make([]float64, len(x))
	for i, v := range x {
		want[i] = float64(dtype.RoundBF16(v))
	}
	near(t, "convert", rounded, want, 0, 0)
	ids := []byte{10, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 10, 0, 0, 0}
	for _, round := range []int{0, 1} {
		y := b.alloc(4 * 4 * d)
		b.Compute.Launch(b.kernel("embed"), 4, 1, cuda.Argument(y), cuda.Argument(table), cuda.Argument(b.put(ids)),
			cuda.Int(d), cuda.Float(scale), cuda.Int(round))
		want := make([]float64, 4*d)
		for i := range want {
			v := rounded[int(ids[i/d*4])*d+i%d] * float32(scale)
			if round == 1 {
				v = dtype.RoundBF16(v)
			}
			want[i] = float64(v)
		}
		near(t, "embed", b.get(y, dtype.F32, 4*d), want, 0, 0)
	}

	x[7], x[8], x[9] = float32(math.Inf(1)), float32(math.NaN()), float32(math.Inf(-1))
	b.Compute.Launch(b.kernel("convert_bf16"), 2, 1, cuda.Argument(table), cuda.Argument(b.put(dtype.Bytes(x))),
		cuda.Size(len(x)), cuda.Argument(bad))
	count := make([]byte, 4)
	check(t, b.Download(count, bad))
	if count[0] != 3 {
		t.Errorf("%d of 3 infinities and NaNs were counted", count[0])
	}
}

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
		for _, p := range b.kernels.Products() {
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
			name, runs, counts[len(counts)-1], len(b.kernels.Products()), N, K)
	}
}

// invariant computes the first T rows by every kernel, for every T of counts, compares the bits, and
// returns the number of products.
func (m *matrices) invariant(name string, counts []int) (runs int) {
	b, N := m.b, m.N
	y := b.alloc(4 * m.T * N)
	m.run(b.kernels.Products()[0], y, m.T, N, false, cuda.OutF32)
	want := b.get(y, dtype.F32, m.T*N)
	for _, T := range counts {
		for _, p := range b.kernels.Products() {
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
	for _, p := range b.kernels.Products() {
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
