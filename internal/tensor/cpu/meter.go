package cpu

import (
	"maps"
	"slices"

	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// Meter is a tensor.Device that computes nothing and allocates nothing. It counts the memory
// that a Device would take for the same calls. A model that is opened on a
// Meter, and a pass that runs on it, give an estimate that follows the code of the layers.
type Meter struct {
	free    map[int][]struct{}  // by capacity in values
	live    map[uintptr]metered // by handle
	next    uintptr
	pool    int64 // bytes of all tensors, live and freed
	weights int64 // bytes of packed weights
	tables  int64 // bytes of embeddings, which a host device leaves in the checkpoint
	rows    int   // the most values that are packed for one product
	stored  tensor.Type
	flop    float64
	trace   []event
}

// metered is a live tensor: its capacity in values, and its event in the trace.
type metered struct{ capacity, event int }

// event is an Alloc, or a Free of the tensor that the event number made.
type event struct {
	rows, cols int
	made       int // -1: an Alloc
}

// handleStep keeps the handles of tensors far enough apart for views of rows.
const handleStep = 1 << 44

// NewMeter returns a Meter that has counted nothing.
func NewMeter() *Meter { return &Meter{free: map[int][]struct{}{}, live: map[uintptr]metered{}} }

// Clone returns a Meter that goes on counting from here, apart from m.
func (m *Meter) Clone() *Meter {
	c := *m
	c.free, c.live, c.trace = map[int][]struct{}{}, maps.Clone(m.live), slices.Clone(m.trace)
	for size, list := range m.free {
		c.free[size] = slices.Clone(list)
	}
	return &c
}

// Weights returns the bytes of the packed weights.
func (m *Meter) Weights() int64 { return m.weights }

// Tables returns the bytes of the embeddings on a device with memory of its own. The host leaves them in
// the mapped checkpoint.
func (m *Meter) Tables() int64 { return m.tables }

// Tensors returns the bytes that tensors and the scratch memory of products would take.
func (m *Meter) Tensors() int64 { return m.pool + 5*int64(m.rows) } // grow adds a quarter

// FLOP returns the floating-point operations of the products so far. Attention and other
// operations do not count.
func (m *Meter) FLOP() float64 { return m.flop }

// Mark returns the number of allocations so far, for Warm.
func (m *Meter) Mark() int { return len(m.trace) }

// Warm repeats the allocations from a mark on a device, so that later passes of at most
// their size find its memory.
func (m *Meter) Warm(dev tensor.Device, mark int) {
	made := map[int]tensor.Tensor{}
	for i, e := range m.trace[mark:] {
		if e.made < 0 {
			made[mark+i] = dev.Alloc(e.rows, e.cols)
		} else if t, ok := made[e.made]; ok {
			dev.Free(t)
			delete(made, e.made)
		}
	}
	for _, t := range made {
		dev.Free(t)
	}
}

// ComputesNothing marks the device for code that would compute without end, or for long, on
// values that are not there.
func (m *Meter) ComputesNothing() {}

// Name implements tensor.Device.
func (m *Meter) Name() string { return "meter" }

// Store makes OperandType return a type for BF16 weights, as another device does whose tensors are
// counted.
func (m *Meter) Store(t tensor.Type) { m.stored = t }

// OperandType implements tensor.Device. It is F32 without Store.
func (m *Meter) OperandType(w tensor.Weight) tensor.Type {
	if w.DType() == dtype.BF16 {
		return m.stored
	}
	return tensor.F32
}

// Live returns the bytes of the tensors that have not been freed.
func (m *Meter) Live() (bytes int64) {
	for _, t := range m.live {
		bytes += 4 * int64(t.capacity)
	}
	return bytes
}

// Alloc implements tensor.Device.
func (m *Meter) Alloc(rows, cols int) tensor.Tensor { return m.AllocAs(rows, cols, tensor.F32) }

// AllocAs implements tensor.Device.
func (m *Meter) AllocAs(rows, cols int, t tensor.Type) tensor.Tensor {
	m.next += handleStep
	c := class((rows*cols*t.Size() + 3) / 4)
	size := fit(m.free, c, false)
	if size == 0 {
		size = c
		m.pool += 4 * int64(c)
	} else {
		m.free[size] = m.free[size][1:]
	}
	m.live[m.next] = metered{size, len(m.trace)}
	m.trace = append(m.trace, event{rows, cols, -1})
	return tensor.Tensor{Rows: rows, Cols: cols, Type: t, Handle: m.next}
}

// Grow implements tensor.Device.
func (m *Meter) Grow(t tensor.Tensor, _, rows, cols int, typ tensor.Type) tensor.Tensor {
	grown := m.AllocAs(rows, cols, typ)
	m.Free(t)
	return grown
}

// Back implements tensor.Device.
func (m *Meter) Back(tensor.Tensor, int) {}

// Free implements tensor.Device.
func (m *Meter) Free(ts ...tensor.Tensor) {
	for _, t := range ts {
		if l, ok := m.live[t.Handle]; ok {
			delete(m.live, t.Handle)
			m.free[l.capacity] = append(m.free[l.capacity], struct{}{})
			m.trace = append(m.trace, event{made: l.event})
		}
	}
}

// Pack implements tensor.Device.
func (m *Meter) Pack(x tensor.Matrix, dt dtype.DType) (tensor.Weight, error) {
	if err := checkMatrix(x); err != nil {
		return nil, err
	}
	return m.pack(x.Rows, x.Cols, dt), nil
}

// PackTensor implements tensor.Device.
func (m *Meter) PackTensor(t tensor.Tensor) tensor.Weight { return m.pack(t.Rows, t.Cols, dtype.F32) }

// Select implements tensor.Device.
func (m *Meter) Select(w tensor.Weight, rows []int32) tensor.Weight {
	_, k := w.Dims()
	return m.pack(len(rows), k, w.DType())
}

// Screen implements tensor.Device.
func (m *Meter) Screen(w tensor.Weight) tensor.Weight {
	n, k := w.Dims()
	m.pack(n, k, dtype.I8)
	return w
}

func (m *Meter) pack(n, k int, dt dtype.DType) tensor.Weight {
	w := &measured{n: n, k: k, dt: dt}
	m.weights += w.Bytes()
	return w
}

// measured is a weight without values.
type measured struct {
	n, k int
	dt   dtype.DType
	grad tensor.Tensor // of a trained head
}

func (w *measured) Dims() (n, k int)   { return w.n, w.k }
func (w *measured) DType() dtype.DType { return w.dt }

func (w *measured) Bytes() int64 {
	switch w.dt {
	case dtype.BF16:
		return 2 * int64(kernel.PackedBF16(w.n, w.k))
	case dtype.I8:
		return int64(kernel.PackedI8(w.n, w.k))
	}
	return 4 * int64(kernel.PackedF32(w.n, w.k))
}

// Lookup implements tensor.Device.
func (m *Meter) Lookup(x tensor.Matrix) (tensor.Table, error) {
	size := 4
	if x.DType == dtype.BF16 {
		size = 2
	}
	m.tables += int64(size * x.Rows * x.Cols)
	return &table{m: x}, checkMatrix(x)
}

// scratch counts values that are packed for one product.
func (m *Meter) scratch(values int) { m.rows = max(m.rows, values) }

// product counts the operations of rows·[n,k].
func (m *Meter) product(rows, n, k int) { m.flop += 2 * float64(rows) * float64(n) * float64(k) }

// MatMul implements tensor.Device.
func (m *Meter) MatMul(_, x tensor.Tensor, w tensor.Weight, _ tensor.Tensor, _ bool) {
	m.scratch(rowChunk(x.Rows, x.Cols) * x.Cols)
	n, k := w.Dims()
	m.product(x.Rows, n, k)
}

// MatMuls implements tensor.Device.
func (m *Meter) MatMuls(x tensor.Tensor, ps tensor.Products) {
	for _, p := range ps {
		if p.W != nil {
			m.MatMul(p.Y, x, p.W, p.Bias, false)
		}
	}
}

// MatMulT implements tensor.Device.
func (m *Meter) MatMulT(dx, dy tensor.Tensor, w tensor.Weight, accumulate bool) {
	n := min(dy.Cols, reduceBlock)
	m.scratch(rowChunk(dx.Rows, n) * n)
	m.product(dx.Rows, dy.Cols, dx.Cols)
	if w.DType() == dtype.I8 && accumulate {
		m.Free(m.Alloc(dx.Rows, dx.Cols))
	}
}

// Linear implements tensor.Device.
func (m *Meter) Linear(y, u, x, in tensor.Tensor, w tensor.Weight, bias tensor.Tensor, a tensor.Adapter) {
	m.MatMul(u, in, a.A, tensor.Tensor{}, false)
	if !y.None() {
		m.MatMul(y, x, w, bias, false)
		m.MatMul(y, u, a.B, tensor.Tensor{}, true)
	}
}

// LinearBackward implements tensor.Device.
func (m *Meter) LinearBackward(dx, v, dy tensor.Tensor, w tensor.Weight, a tensor.Adapter, accumulate bool) {
	m.MatMulT(dx, dy, w, accumulate)
	m.MatMulT(v, dy, a.B, false)
	m.MatMulT(dx, v, a.A, true)
}

// GradWeight implements tensor.Device.
func (m *Meter) GradWeight(dw, _, x tensor.Tensor) {
	m.scratch(dw.Rows * min(x.Rows, reduceBlock))
	m.product(x.Rows, dw.Rows, dw.Cols)
}

// AttendBackward implements tensor.Device.
func (m *Meter) AttendBackward(dq, _, _, _, _, _, q, _, _ tensor.Tensor, _ tensor.Attention, l tensor.Keys) {
	most := 1
	for _, keys := range l.Layout.Keys {
		most = max(most, ranges(len(keys)))
	}
	m.Free(m.Alloc((most-1)*q.Rows, q.Cols))
}

// Unpack implements tensor.Device.
func (m *Meter) Unpack(rows tensor.Tensor, _ tensor.Weight, _ int) {
	m.Free(m.Alloc(rows.Rows, min(rows.Rows, unpackedRows)))
}

// CrossEntropy implements tensor.Device.
func (m *Meter) CrossEntropy(_, dh, h tensor.Tensor, w tensor.Weight, _ tensor.Ints, _ tensor.Tensor, _ float32) {
	n, k := w.Dims()
	m.product(h.Rows, n, k)
	if dh.None() {
		return
	}
	logits := m.Alloc(gradientRows(n, h.Rows), n)
	m.MatMulT(dh, logits, w, false)
	if g := w.(*measured).grad; !g.None() {
		m.GradWeight(g, logits, h.Slice(0, logits.Rows))
	}
	m.Free(logits)
}

// The other operations take no memory.

func (m *Meter) Upload(tensor.Tensor, []float32)   {}
func (m *Meter) Download([]float32, tensor.Tensor) {}
func (m *Meter) Replay(_ any, b tensor.Batch, f func(tensor.Batch) tensor.Tensor) tensor.Tensor {
	return f(b)
}
func (m *Meter) Prepare(b tensor.Batch) tensor.Batch                                   { return b }
func (m *Meter) Zero(tensor.Tensor)                                                    {}
func (m *Meter) Copy(_, _ tensor.Tensor)                                               {}
func (m *Meter) Repack(tensor.Weight, tensor.Tensor)                                   {}
func (m *Meter) Embed(tensor.Tensor, tensor.Table, tensor.Ints, float32, bool)         {}
func (m *Meter) AddRows(_, _ tensor.Tensor, _ tensor.Ints)                             {}
func (m *Meter) RMSNorm(_, _, _ tensor.Tensor, _ float32, _ bool)                      {}
func (m *Meter) AddRMSNorm(_, _, _, _ tensor.Tensor, _, _ tensor.RMSNorm)              {}
func (m *Meter) RMSNormBackward(_, _, _, _ tensor.Tensor, _ float32, _, _ bool)        {}
func (m *Meter) LayerNorm(_, _, _, _ tensor.Tensor, _ float32)                         {}
func (m *Meter) LayerNormBackward(_, _, _, _ tensor.Tensor, _ float32, _ bool)         {}
func (m *Meter) Rotate(tensor.Tensor, tensor.Ints, tensor.Rotary, bool)                {}
func (m *Meter) SplitHeads(_, _, _, _ tensor.Tensor, _ int)                            {}
func (m *Meter) JoinHeads(_, _, _, _ tensor.Tensor, _ int)                             {}
func (m *Meter) Attend(_, _, _, _, _ tensor.Tensor, _ tensor.Attention, _ tensor.Keys) {}
func (m *Meter) Activate(_, _ tensor.Tensor, _ tensor.Activation)                      {}
func (m *Meter) ActivateBackward(_, _, _ tensor.Tensor, _ tensor.Activation)           {}
func (m *Meter) Gate(_, _, _ tensor.Tensor, _ tensor.Activation)                       {}
func (m *Meter) GateBackward(_, _, _, _, _ tensor.Tensor, _ tensor.Activation)         {}
func (m *Meter) ScaleColumns(_, _, _, _ tensor.Tensor)                                 {}
func (m *Meter) ColumnDots(_, _, _ tensor.Tensor)                                      {}
func (m *Meter) Add(_, _ tensor.Tensor)                                                {}
func (m *Meter) Scale(tensor.Tensor, float32)                                          {}
func (m *Meter) Softcap(tensor.Tensor, float32)                                        {}
func (m *Meter) Dropout(_, _ tensor.Tensor, _ float32, _ uint64, _ tensor.Numbers)     {}
func (m *Meter) Gather(_, _ tensor.Tensor, _ tensor.Ints)                              {}
func (m *Meter) Scatter(_, _ tensor.Tensor, _ tensor.Ints)                             {}
func (m *Meter) ScatterAdd(_, _ tensor.Tensor, _ tensor.Ints)                          {}
func (m *Meter) Trains(w tensor.Weight, grad tensor.Tensor)                            { w.(*measured).grad = grad }
func (m *Meter) Dot(_, _ tensor.Tensor) tensor.Value                                   { return tensor.Value{} }
func (m *Meter) SumSquares(...tensor.Tensor) tensor.Value                              { return tensor.Value{} }
func (m *Meter) Update([]tensor.Param, float32, tensor.AdamW)                          {}

// LogProbs implements tensor.Device.
func (m *Meter) LogProbs(h tensor.Tensor, _ tensor.Weight, _ tensor.Ints, _ float32, _ bool) tensor.Pending[tensor.Scores] {
	return tensor.Known(tensor.Scores{LogP: make([]float32, h.Rows), Greedy: make([]bool, h.Rows), Ranks: make([]int32, h.Rows)})
}

// TopK implements tensor.Device.
func (m *Meter) TopK(h tensor.Tensor, _ tensor.Weight, _ int, _ float32, _ [][]int32,
	_ []tensor.Extra) tensor.Pending[[]tensor.Candidates] {
	return tensor.Known(make([]tensor.Candidates, h.Rows))
}
