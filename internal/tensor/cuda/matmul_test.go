//go:build cuda && linux

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"barka/internal/cuda/cudatest"
	"barka/internal/dtype"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// both is a device and the CPU, whose results are compared.
type both struct {
	*testing.T
	gpu    *Device
	cpu    *cpu.Device
	random *rand.Rand
}

func newBoth(t *testing.T) *both {
	host := cpu.New(2)
	t.Cleanup(host.Close)
	return &both{t, open(t), host, rand.New(rand.NewPCG(1, 2))}
}

func (b *both) normal(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(b.random.NormFloat64())
	}
	return v
}

// processors runs f as if the GPU had another number of processors.
func (b *both) processors(n int, f func()) {
	own := b.gpu.gpu.Processors
	b.gpu.gpu.Processors = n
	defer func() { b.gpu.gpu.Processors = own }()
	f()
}

// put makes a tensor on a device.
func (b *both) put(dev tensor.Device, rows, cols int, v []float32) tensor.Tensor {
	t := dev.Alloc(rows, cols)
	dev.Upload(t, v)
	return t
}

func (b *both) get(dev tensor.Device, t tensor.Tensor) []float32 {
	v := make([]float32, t.Len())
	dev.Download(v, t)
	return v
}

func (b *both) pack(dev tensor.Device, n, k int, stored []byte, dt, as dtype.DType) tensor.Weight {
	b.Helper()
	w, err := dev.Pack(tensor.Matrix{Rows: n, Cols: k, DType: dt, Bytes: stored}, as)
	if err != nil {
		b.Fatal(err)
	}
	return w
}

// sameBits compares what two devices have computed.
func (b *both) sameBits(what string, got, want []float32) {
	b.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			b.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(got), v, want[i])
		}
	}
}

// Weights of every type from checkpoints of every type have the bits of the CPU's, with rows of any
// length, and so have the selected ones.
func TestWeightsAreTheCPUs(t *testing.T) {
	b := newBoth(t)
	const n = 140
	for _, k := range []int{1, 37, 64, 200, 544} {
		values := b.normal(n * k)
		for _, stored := range []dtype.DType{dtype.F32, dtype.BF16, dtype.F16, dtype.Q8_0} {
			if block, _ := stored.Block(); k%block != 0 {
				continue
			}
			bytes := encode(stored, values)
			for _, as := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
				what := fmt.Sprintf("[%d %d] of %s as %s", n, k, stored, as)
				mine, theirs := b.pack(b.gpu, n, k, bytes, stored, as), b.pack(b.cpu, n, k, bytes, stored, as)
				for _, from := range []int{0, 128} {
					x, y := b.gpu.Alloc(n-from, k), b.cpu.Alloc(n-from, k)
					b.gpu.Unpack(x, mine, from)
					b.cpu.Unpack(y, theirs, from)
					b.sameBits(what, b.get(b.gpu, x), b.get(b.cpu, y))
				}
				order := []int32{139, 0, 77, 77}
				x, y := b.gpu.Alloc(len(order), k), b.cpu.Alloc(len(order), k)
				b.gpu.Unpack(x, b.gpu.Select(mine, order), 0)
				b.cpu.Unpack(y, b.cpu.Select(theirs, order), 0)
				b.sameBits(what+", selected", b.get(b.gpu, x), b.get(b.cpu, y))
			}
		}
	}
}

// encode stores values as a checkpoint does.
func encode(dt dtype.DType, values []float32) []byte {
	if dt != dtype.Q8_0 {
		return dtype.Narrow(dt, values)
	}
	var bytes []byte // blocks of a scale in F16 and 32 integers
	for ; len(values) > 0; values = values[32:] {
		bytes = append(bytes, dtype.Narrow(dtype.F16, []float32{1.0 / 32})...)
		for _, v := range values[:32] {
			bytes = append(bytes, byte(int8(v*16)))
		}
	}
	return bytes
}

// Products of integers have the bits of the CPU's, and dx = dy·W is near it, over more outputs than are
// summed at once.
func TestIntegersAreTheCPUs(t *testing.T) {
	b := newBoth(t)
	for _, s := range [][3]int{{1, 33, 64}, {21, 70, 700}, {3, reduceRows + 20, 40}} {
		T, n, k := s[0], s[1], s[2]
		stored := dtype.Bytes(b.normal(n * k))
		mine, theirs := b.pack(b.gpu, n, k, stored, dtype.F32, dtype.I8), b.pack(b.cpu, n, k, stored, dtype.F32, dtype.I8)
		x, dy, before := b.normal(T*k), b.normal(T*n), b.normal(T*k)
		y, z := b.gpu.Alloc(T, n), b.cpu.Alloc(T, n)
		b.gpu.MatMul(y, b.put(b.gpu, T, k, x), mine, tensor.Tensor{}, false)
		b.cpu.MatMul(z, b.put(b.cpu, T, k, x), theirs, tensor.Tensor{}, false)
		b.sameBits(fmt.Sprint(s), b.get(b.gpu, y), b.get(b.cpu, z))
		for _, accumulate := range []bool{false, true} {
			dx, dz := b.put(b.gpu, T, k, before), b.put(b.cpu, T, k, before)
			b.gpu.MatMulT(dx, b.put(b.gpu, T, n, dy), mine, accumulate)
			b.cpu.MatMulT(dz, b.put(b.cpu, T, n, dy), theirs, accumulate)
			want := b.get(b.cpu, dz)
			for i, v := range b.get(b.gpu, dx) {
				if math.Abs(float64(v-want[i])) > 1e-4*math.Sqrt(float64(n)) {
					t.Fatalf("%v: value %d of dx is %g, want %g", s, i, v, want[i])
				}
			}
		}
	}
}

// An infinity or NaN is refused with the CPU's error, and so are other types.
func TestPackErrors(t *testing.T) {
	b := newBoth(t)
	values := b.normal(5 * 6)
	values[13], values[20] = float32(math.NaN()), float32(math.Inf(1))
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16, dtype.F16} {
		for _, as := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8, dtype.F16} {
			m := tensor.Matrix{Rows: 5, Cols: 6, DType: stored, Bytes: dtype.Narrow(stored, values)}
			_, got := b.gpu.Pack(m, as)
			_, want := b.cpu.Pack(m, as)
			if got == nil || got.Error() != want.Error() {
				t.Errorf("%s as %s: %v, want %v", stored, as, got, want)
			}
		}
	}
	if _, err := b.gpu.Pack(tensor.Matrix{Rows: 5, Cols: 6, DType: dtype.F32, Bytes: make([]byte, 100)}, dtype.F32); err == nil ||
		!strings.Contains(err.Error(), "do not fill the shape") {
		t.Errorf("a matrix that is too short: %v", err)
	}
}

// The kernel that a number of rows is computed with does not change their bits.
func TestRowsByEveryKernel(t *testing.T) {
	b := newBoth(t)
	const n, k, most = 136, 200, 330
	x, dy := b.normal(most*k), b.normal(most*n)
	for _, as := range []dtype.DType{dtype.F32, dtype.BF16, dtype.I8} {
		w := b.pack(b.gpu, n, k, dtype.Bytes(b.normal(n*k)), dtype.F32, as)
		run := func(T int) (y, dx []float32) {
			o := b.gpu.Alloc(T, n)
			p := b.gpu.Alloc(T, k)
			b.gpu.MatMul(o, b.put(b.gpu, T, k, x[:T*k]), w, tensor.Tensor{}, false)
			b.gpu.MatMulT(p, b.put(b.gpu, T, n, dy[:T*n]), w, false)
			return b.get(b.gpu, o), b.get(b.gpu, p)
		}
		y, dx := run(most)
		for _, T := range []int{1, 7, 9, 17, 40, 65, 129, 300} {
			for _, processors := range []int{1, 1000} { // for large tiles and for small ones
				b.processors(processors, func() {
					some, someT := run(T)
					b.sameBits(fmt.Sprintf("%s, %d rows", as, T), some, y[:T*n])
					b.sameBits(fmt.Sprintf("%s, %d rows of dx", as, T), someT, dx[:T*k])
				})
			}
		}
	}
}

// An adapter beside a BF16 weight is computed with the weight in one product of bfloat16 values. Its rank, the
// values and the weight's own products may change in any order.
func TestAdapterBesideItsWeight(t *testing.T) {
	b := newBoth(t)
	const n, k, T, scale = 37, 43, 6, 0.25
	stored := dtype.Bytes(b.normal(n * k))
	w, plain := b.pack(b.gpu, n, k, stored, dtype.F32, dtype.BF16), b.pack(b.gpu, n, k, stored, dtype.F32, dtype.BF16)
	values := b.get(b.gpu, func() tensor.Tensor { t := b.gpu.Alloc(n, k); b.gpu.Unpack(t, plain, 0); return t }())
	x, dy := b.normal(T*k), b.normal(T*n)
	px, pdy, y, dx := b.put(b.gpu, T, k, x), b.put(b.gpu, T, n, dy), b.gpu.Alloc(T, n), b.gpu.Alloc(T, k)
	for _, r := range []int{4, 19, 3, 19} {
		a, c := b.normal(r*k), b.normal(n*r)
		pa, pb := b.gpu.PackTensor(b.put(b.gpu, r, k, a)), b.gpu.PackTensor(b.put(b.gpu, n, r, b.normal(n*r)))
		adapter := tensor.Adapter{A: pa, B: pb, Scale: scale}
		u, v := b.gpu.Alloc(T, r), b.gpu.Alloc(T, r)
		b.gpu.Linear(y, u, px, px, w, tensor.Tensor{}, adapter) // with another B
		b.gpu.Repack(adapter.B, b.put(b.gpu, n, r, c))
		b.gpu.Linear(y, u, px, px, w, tensor.Tensor{}, adapter)
		b.gpu.LinearBackward(dx, v, pdy, w, adapter, false)
		gotU, gotV := b.get(b.gpu, u), b.get(b.gpu, v)
		b.nearRounded("u", gotU, func(t, j int) float64 { return scale * dot(k, x[t*k:], 1, a[j*k:], 1) }, r)
		b.nearRounded("v", gotV, func(t, j int) float64 { return scale * dot(n, dy[t*n:], 1, c[j:], r) }, r)
		b.nearRounded("y", b.get(b.gpu, y), func(t, j int) float64 {
			return dot(k, x[t*k:], 1, values[j*k:], 1) + dot(r, gotU[t*r:], 1, c[j*r:], 1)
		}, n)
		b.nearRounded("dx", b.get(b.gpu, dx), func(t, j int) float64 {
			return dot(n, dy[t*n:], 1, values[j:], k) + dot(r, gotV[t*r:], 1, a[j:], k)
		}, k)
		// Alone, the weight is what it was.
		one, two := b.gpu.Alloc(T, n), b.gpu.Alloc(T, n)
		b.gpu.MatMul(one, px, w, tensor.Tensor{}, false)
		b.gpu.MatMul(two, px, plain, tensor.Tensor{}, false)
		b.sameBits("product", b.get(b.gpu, one), b.get(b.gpu, two))
		one, two = b.gpu.Alloc(T, k), b.gpu.Alloc(T, k)
		b.gpu.MatMulT(one, pdy, w, false)
		b.gpu.MatMulT(two, pdy, plain, false)
		b.sameBits("product with dy", b.get(b.gpu, one), b.get(b.gpu, two))
		one = b.gpu.Alloc(2, k)
		b.gpu.Unpack(one, b.gpu.Select(w, []int32{36, 2}), 0)
		b.sameBits("selected rows", b.get(b.gpu, one), append(append([]float32(nil), values[36*k:37*k]...), values[2*k:3*k]...))
	}
	if w.Bytes() <= plain.Bytes() {
		t.Error("the adapter takes no memory")
	}
}

// dot multiplies n pairs of values that are rounded to bfloat16, a and b apart.
func dot(n int, x []float32, a int, y []float32, b int) (sum float64) {
	for i := range n {
		sum += float64(dtype.RoundBF16(x[i*a])) * float64(dtype.RoundBF16(y[i*b]))
	}
	return sum
}

// nearRounded compares rows of cols values with float64.
func (b *both) nearRounded(what string, got []float32, want func(row, col int) float64, cols int) {
	b.Helper()
	for i, v := range got {
		if w := want(i/cols, i%cols); math.Abs(float64(v)-w) > 2e-5 {
			b.Fatalf("%s: value (%d,%d) is %g, want %g", what, i/cols, i%cols, v, w)
		}
	}
}

// Chunks of tokens beside each other and one after the other give the same bits, near those in float64.
func TestChunksOfTokens(t *testing.T) {
	b := newBoth(t)
	const n, k, T = 5, 7, 2*gradRows + 500
	x, dy, before := b.normal(T*k), b.normal(T*n), b.normal(n*k)
	want := make([]float64, n*k)
	for i := range want {
		want[i] = float64(before[i])
		for t := range T {
			want[i] += float64(dy[t*n+i/k]) * float64(x[t*k+i%k])
		}
	}
	var first []float32
	for processors, most := range map[int]int64{0: 3, 1000: 2} {
		b.processors(processors, func() {
			dw := b.put(b.gpu, n, k, before)
			launches := b.gpu.launches
			b.gpu.GradWeight(dw, b.put(b.gpu, T, n, dy), b.put(b.gpu, T, k, x))
			if count := b.gpu.launches - launches; count != most {
				t.Errorf("%d launches for %d processors, want %d", count, processors, most)
			}
			got := b.get(b.gpu, dw)
			if first == nil {
				first = got
			}
			b.sameBits("gradient", got, first)
			for i, v := range got {
				if math.Abs(float64(v)-want[i]) > 2e-5*math.Sqrt(T) {
					t.Fatalf("value %d is %g, want %g", i, v, want[i])
				}
			}
		})
	}
}

// The memory of a weight that the program has dropped serves the next one.
func TestDroppedWeights(t *testing.T) {
	b := newBoth(t)
	stored := dtype.Bytes(b.normal(100 * 64))
	b.gpu.Zero(b.gpu.Alloc(1, 1))
	kept := b.pack(b.gpu, 100, 64, stored, dtype.F32, dtype.I8)
	before := b.gpu.memory.taken
	for range 5 {
		b.pack(b.gpu, 100, 64, stored, dtype.F32, dtype.I8)
	}
	for range 100 { // cleanups run some time after the collection
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		if b.gpu.reclaim(); b.gpu.memory.taken == before {
			break
		}
	}
	if b.gpu.memory.taken != before {
		t.Errorf("%d bytes are taken, before %d", b.gpu.memory.taken, before)
	}
	x := b.gpu.Alloc(100, 64)
	b.gpu.Unpack(x, kept, 0)
	if !slices.ContainsFunc(b.get(b.gpu, x), func(v float32) bool { return v > 1 }) {
		t.Error("a weight in use has lost its values")
	}
}

// A weight that does not fit beside dropped ones takes their memory.
func TestWeightsInFullMemory(t *testing.T) {
	if cudatest.OnCard() {
		t.Skip("it would take nearly all memory of the card")
	}
	b := newBoth(t)
	b.gpu.memory.apart = false
	_, total, err := b.gpu.Memory()
	if err != nil {
		t.Fatal(err)
	}
	b.gpu.Alloc(1024, int(total/4/1024*9/10))
	const n, k = 1024, 10240 // 40 MiB of the 102 that are left
	zeros := make([]byte, 4*n*k)
	for range 6 {
		b.pack(b.gpu, n, k, zeros, dtype.F32, dtype.F32)
	}
}
