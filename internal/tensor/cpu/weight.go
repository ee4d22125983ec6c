package cpu

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/kernel"
	"barka/internal/tensor"
)

// weight is a packed matrix W [n,k]. One of f32, bf16 and i8 is set.
type weight struct {
	n, k int
	f32  []float32
	bf16 []uint16
	i8   []byte        // panels of integers with their scales
	grad tensor.Tensor // of a trained head, or none
	// screen is a copy as integers, by which TopK finds the likely tokens, or nil.
	screen *weight
}

func (w *weight) Dims() (n, k int) { return w.n, w.k }

func (w *weight) DType() dtype.DType {
	switch {
	case w.bf16 != nil:
		return dtype.BF16
	case w.i8 != nil:
		return dtype.I8
	}
	return dtype.F32
}

func (w *weight) Bytes() int64 {
	return int64(4*len(w.f32) + 2*len(w.bf16) + len(w.i8))
}

// panelF32 returns panel p and those after it; so do panelBF16 and panelI8.
func (w *weight) panelF32(p int) []float32 { return w.f32[p*w.k*kernel.PanelN:] }

func (w *weight) panelBF16(p int) []uint16 { return w.bf16[p*kernel.Pairs(w.k)*kernel.PanelN*2:] }

func (w *weight) panelI8(p int) []byte { return w.i8[p*kernel.PanelBytesI8(w.k):] }

// Pack implements tensor.Device.
func (d *Device) Pack(m tensor.Matrix, dt dtype.DType) (tensor.Weight, error) {
	if err := checkMatrix(m); err != nil {
		return nil, err
	}
	if w, ok := d.copyPanels(m, dt); ok {
		return w, nil
	}
	var mu sync.Mutex
	bad := -1 // position of the first value that is infinite or NaN
	rowBytes := m.DType.Bytes(m.Cols)
	src := func(i int, row []float32) {
		dtype.Widen(row, m.DType, m.Bytes[i*rowBytes:(i+1)*rowBytes])
		for j, v := range row {
			if v-v != 0 {
				mu.Lock()
				if at := i*m.Cols + j; bad < 0 || at < bad {
					bad = at
				}
				mu.Unlock()
				break
			}
		}
	}
	w := &weight{n: m.Rows, k: m.Cols}
	if err := d.pack(w, dt, m, src); err != nil {
		return nil, err
	}
	if bad >= 0 {
		row := make([]float32, m.Cols)
		dtype.Widen(row, m.DType, m.Bytes[bad/m.Cols*rowBytes:][:rowBytes])
		return nil, fmt.Errorf("the value at row %d, column %d is %g, expected a finite number", bad/m.Cols, bad%m.Cols, row[bad%m.Cols])
	}
	return w, nil
}

// copyPanels packs a matrix that is stored in the packed type, by copying words. It
// reports false for matrices that need the general way: values that are not finite,
// pairs that straddle rows, unaligned bytes, other types.
func (d *Device) copyPanels(m tensor.Matrix, dt dtype.DType) (*weight, bool) {
	words, ok := dtype.View32(m.Bytes)
	if !ok || m.DType != dt || dt == dtype.BF16 && m.Cols%2 != 0 || len(words) == 0 {
		return nil, false
	}
	w := &weight{n: m.Rows, k: m.Cols}
	finite := kernel.FiniteF32
	switch dt {
	case dtype.F32:
		w.f32 = aligned(kernel.PackedF32(w.n, w.k))
	case dtype.BF16:
		w.bf16, finite = hugePages(make([]uint16, kernel.PackedBF16(w.n, w.k))), kernel.FiniteBF16
	default:
		return nil, false
	}
	var bad atomic.Bool
	row := len(words) / m.Rows
	d.pool.For(kernel.Panels(w.n), d.packGrain(m), func(_, lo, hi int) {
		w.copyPanels(words, lo, hi)
		if !finite(words[lo*kernel.PanelN*row : min(hi*kernel.PanelN, w.n)*row]) {
			bad.Store(true)
		}
		m.ReleaseRows(lo*kernel.PanelN, min(hi*kernel.PanelN, w.n))
	})
	return w, !bad.Load()
}

// packGrain returns the number of panels that a worker packs before it releases their
// source bytes: a few megabytes.
func (d *Device) packGrain(m tensor.Matrix) int {
	const bytes = 4 << 20
	panel := max(1, kernel.PanelN*m.DType.Bytes(m.Cols))
	return max(1, min(bytes/panel, kernel.Panels(m.Rows)/(4*d.pool.Workers())))
}

// copyPanels fills the panels lo ≤ p < hi from rows of words.
func (w *weight) copyPanels(words []float32, lo, hi int) {
	for p := lo; p < hi; p++ {
		if w.bf16 != nil {
			kernel.CopyPanelBF16(w.panelBF16(p), words, p, w.n, w.k)
		} else {
			kernel.CopyPanelF32(w.panelF32(p), words, p, w.n, w.k)
		}
	}
}

// checkMatrix returns an error if m is not floating point or its bytes do not fill its
// shape.
func checkMatrix(m tensor.Matrix) error {
	if !m.DType.Float() {
		return fmt.Errorf("the type is %s, expected F32, BF16, F16 or a type of GGUF", m.DType)
	}
	if values, _ := m.DType.Block(); m.Cols%values != 0 || len(m.Bytes) != m.Rows*m.DType.Bytes(m.Cols) {
		return fmt.Errorf("%d bytes do not fill the shape [%d %d] of %s", len(m.Bytes), m.Rows, m.Cols, m.DType)
	}
	return nil
}

// pack fills w from the rows that src produces, in parallel over panels.
func (d *Device) pack(w *weight, dt dtype.DType, m tensor.Matrix, src func(i int, row []float32)) error {
	size := 0 // values per panel
	switch dt {
	case dtype.F32:
		if w.f32 == nil {
			w.f32 = aligned(max(kernel.PackedF32(w.n, w.k), 1))
		}
		size = w.k * kernel.PanelN
	case dtype.BF16:
		if w.bf16 == nil {
			w.bf16 = hugePages(make([]uint16, max(kernel.PackedBF16(w.n, w.k), 1)))
		}
		size = kernel.Pairs(w.k) * kernel.PanelN * 2
	case dtype.I8:
		w.i8 = hugePages(make([]byte, max(kernel.PackedI8(w.n, w.k), 1)))
		size = kernel.PanelBytesI8(w.k)
	default:
		return fmt.Errorf("packing as %s is not supported; expected F32, BF16 or I8", dt)
	}
	d.pool.For(kernel.Panels(w.n), d.packGrain(m), func(worker, lo, hi int) {
		row := grow(&d.workers[worker].scores, kernel.ScratchI8(w.k))
		for p := lo; p < hi; p++ {
			switch dt {
			case dtype.BF16:
				kernel.PackPanelBF16(w.bf16[p*size:(p+1)*size], p, w.n, w.k, src, row)
			case dtype.I8:
				kernel.PackPanelI8(w.i8[p*size:(p+1)*size], p, w.n, w.k, src, row)
			default:
				kernel.PackPanelF32(w.f32[p*size:(p+1)*size], p, w.n, w.k, src, row)
			}
		}
		m.ReleaseRows(lo*kernel.PanelN, min(hi*kernel.PanelN, w.n))
	})
	return nil
}

// PackTensor implements tensor.Device.
func (d *Device) PackTensor(t tensor.Tensor) tensor.Weight {
	w := &weight{n: t.Rows, k: t.Cols}
	d.Repack(w, t)
	return w
}

// Repack implements tensor.Device.
func (d *Device) Repack(tw tensor.Weight, t tensor.Tensor) {
	w := tw.(*weight)
	if w.n != t.Rows || w.k != t.Cols || w.DType() != dtype.F32 {
		panic("cpu: Repack: the weight has another shape or type")
	}
	if w.f32 == nil {
		w.f32 = aligned(max(kernel.PackedF32(w.n, w.k), 1))
	}
	d.op.repack = repackOperands{w: w, values: t}
	d.loop(kernel.Panels(w.n), 1, func(_ *Device, o *operands, _, lo, hi int) {
		o.repack.w.copyPanels(o.repack.values.Data, lo, hi)
	})
}

// Select implements tensor.Device.
func (d *Device) Select(tw tensor.Weight, rows []int32) tensor.Weight {
	w := tw.(*weight)
	for _, r := range rows {
		if r < 0 || int(r) >= w.n {
			panic(fmt.Sprintf("cpu: Select: row %d is outside a weight of %d", r, w.n))
		}
	}
	s := &weight{n: len(rows), k: w.k}
	switch w.DType() {
	case dtype.BF16:
		s.bf16 = hugePages(make([]uint16, max(kernel.PackedBF16(s.n, s.k), 1)))
	case dtype.I8:
		s.i8 = hugePages(make([]byte, max(kernel.PackedI8(s.n, s.k), 1)))
	default:
		s.f32 = aligned(max(kernel.PackedF32(s.n, s.k), 1))
	}
	d.pool.For(kernel.Panels(s.n), 1, func(_, lo, hi int) {
		for p := lo; p < hi; p++ {
			some := rows[p*kernel.PanelN : min((p+1)*kernel.PanelN, s.n)]
			switch {
			case s.bf16 != nil:
				kernel.SelectBF16(s.panelBF16(p), w.bf16, s.k, some)
			case s.i8 != nil:
				kernel.SelectI8(s.panelI8(p), w.i8, s.k, some)
			default:
				kernel.SelectF32(s.panelF32(p), w.f32, s.k, some)
			}
		}
	})
	return s
}

// repackOperands are those of Repack.
type repackOperands struct {
	w      *weight
	values tensor.Tensor
}

// table is an embedding in the form in which the checkpoint stores it.
type table struct {
	m    tensor.Matrix
	held []byte // the values, if they are in memory
}

// row returns the bytes of row i. If they are not in memory, it reads them into buffer,
// and panics with an error for the user if that fails.
func (t *table) row(i int, buffer []byte) []byte {
	size := t.m.DType.Bytes(t.m.Cols)
	if t.held != nil {
		return t.held[i*size : (i+1)*size]
	}
	if _, err := t.m.File.ReadAt(buffer[:size], t.m.Offset+int64(i)*int64(size)); err != nil {
		t.stayed()
		panic(badinput.Errorf("row %d of the embedding: %w", i, err))
	}
	return buffer[:size]
}

// stayed panics with an error for the user if the file has changed since it was opened.
func (t *table) stayed() {
	if t.m.File != nil {
		if err := t.m.File.Stayed(); err != nil {
			panic(err)
		}
	}
}

func (t *table) Dims() (rows, cols int) { return t.m.Rows, t.m.Cols }

// smallTable is the size of tables that are kept in memory, in bytes. Reading a row from a file
// takes longer than embedding it.
const smallTable = 16 << 20

// Lookup implements tensor.Device.
func (d *Device) Lookup(m tensor.Matrix) (tensor.Table, error) {
	if err := checkMatrix(m); err != nil {
		return nil, err
	}
	t := &table{m: m}
	if m.File == nil {
		t.held = m.Bytes
	} else if len(m.Bytes) <= smallTable {
		t.held = slices.Clone(m.Bytes)
	}
	return t, nil
}

// embeddingOperands are those of Embed.
type embeddingOperands struct {
	y     tensor.Tensor
	table *table
	ids   []int32
	scale float32
	round bool
}

// Embed implements tensor.Device.
func (d *Device) Embed(y tensor.Tensor, tt tensor.Table, ids tensor.Ints, scale float32, round bool) {
	t := tt.(*table)
	if len(ids.Host) != y.Rows || t.m.Cols != y.Cols {
		panic("cpu: Embed: the table or the ids do not fit the output")
	}
	for _, id := range ids.Host {
		if id < 0 || int(id) >= t.m.Rows {
			panic(fmt.Sprintf("cpu: Embed: token %d is outside the vocabulary of %d", id, t.m.Rows))
		}
	}
	d.op.embedding = embeddingOperands{y: y, table: t, ids: ids.Host, scale: scale, round: round}
	d.eachRow(y.Rows, y.Cols, func(d *Device, o *operands, worker, lo, hi int) {
		e := &o.embedding
		m := &e.table.m
		buffer := grow(&d.workers[worker].bytes, m.DType.Bytes(m.Cols))
		for i := lo; i < hi; i++ {
			row := e.y.Row(i)
			dtype.Widen(row, m.DType, e.table.row(int(e.ids[i]), buffer))
			if e.scale != 1 {
				kernel.Scale(row, e.scale, row)
			}
			if e.round {
				kernel.RoundBF16(row)
			}
		}
	})
	t.stayed()
}
