//go:build cuda && linux

package cuda

import (
	"fmt"
	"runtime"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// table is an embedding in the GPU's memory, as BF16 if the checkpoint has that, else as F32.
type table struct {
	rows, cols int
	bf16       bool
	at         cuda.Pointer
}

// Dims implements tensor.Table.
func (t *table) Dims() (rows, cols int) { return t.rows, t.cols }

// checkMatrix returns an error if m is not floating point or its bytes do not fill its shape.
func checkMatrix(m tensor.Matrix) error {
	if !m.DType.Float() {
		return fmt.Errorf("the type is %s, expected F32, BF16, F16 or a type of GGUF", m.DType)
	}
	if values, _ := m.DType.Block(); m.Cols%values != 0 || len(m.Bytes) != m.Rows*m.DType.Bytes(m.Cols) {
		return fmt.Errorf("%d bytes do not fill the shape [%d %d] of %s", len(m.Bytes), m.Rows, m.Cols, m.DType)
	}
	return nil
}

// Lookup implements tensor.Device.
func (d *Device) Lookup(m tensor.Matrix) (made tensor.Table, err error) {
	if err := checkMatrix(m); err != nil {
		return nil, err
	}
	defer tensor.Guard(&err)
	t := &table{rows: m.Rows, cols: m.Cols, bf16: m.DType == dtype.BF16}
	d.begin("Lookup", tensor.Tensor{Rows: m.Rows, Cols: m.Cols})
	size := 4
	if t.bf16 {
		size = 2
	}
	d.reclaim()
	t.at = d.take(size * m.Rows * m.Cols)
	d.memory.keep(t.at)
	reclaimed(d, t, t.at)
	// Some megabytes at a time, so that the checkpoint's pages can be released.
	rows := max(1, stagingHalf/max(1, size*m.Cols))
	values := make([]float32, min(rows, m.Rows)*m.Cols)
	stored := m.DType.Bytes(m.Cols)
	for lo := 0; lo < m.Rows; lo += rows {
		hi := min(lo+rows, m.Rows)
		bytes, to := m.Bytes[lo*stored:hi*stored], t.at+cuda.Pointer(size*lo*m.Cols)
		if t.bf16 || m.DType == dtype.F32 {
			d.push(to, bytes)
		} else {
			dtype.Widen(values[:(hi-lo)*m.Cols], m.DType, bytes)
			d.push(to, bytesOf(values[:(hi-lo)*m.Cols]))
		}
		m.ReleaseRows(lo, hi)
	}
	if m.File != nil {
		if err := m.File.Stayed(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Embed implements tensor.Device.
func (d *Device) Embed(y tensor.Tensor, tt tensor.Table, ids tensor.Ints, scale float32, round bool) {
	t := tt.(*table)
	if len(ids.Host) != y.Rows || t.cols != y.Cols {
		panic("cuda: Embed: the table or the ids do not fit the output")
	}
	for _, id := range ids.Host {
		if id < 0 || int(id) >= t.rows {
			panic(fmt.Sprintf("cuda: Embed: token %d is outside the vocabulary of %d", id, t.rows))
		}
	}
	checkF32("Embed", y)
	d.begin("Embed", y)
	at, kernel := d.ints(ids), "embed_f32"
	if t.bf16 {
		kernel = "embed"
	}
	d.launch(kernel, y.Rows, 1, pointer(y), cuda.Argument(t.at), cuda.Argument(at.at), cuda.Int(y.Cols), cuda.Float(scale), flag(round))
	d.drop(at)
	runtime.KeepAlive(t)
}
