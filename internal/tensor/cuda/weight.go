//go:build cuda && linux

package cuda

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// weight is a matrix W [n,k] in the GPU's memory, row by row.
type weight struct {
	n, k  int
	dtype dtype.DType
	width int // k with the zeros behind it
	ld    int // values from one row to the next
	at    cuda.Pointer
	// scales [n,lds] of I8 are bfloat16, one for each 64 values of a row. The values are integers of
	// rotated rows.
	scales cuda.Pointer
	lds    int
	grad   tensor.Tensor // of a trained head, or none
	// stamp numbers the values of a weight of PackTensor.
	stamp   int64
	adapter beside
	cleanup runtime.Cleanup
}

// Dims implements tensor.Weight.
func (w *weight) Dims() (n, k int) { return w.n, w.k }

// DType implements tensor.Weight.
func (w *weight) DType() dtype.DType { return w.dtype }

// Bytes implements tensor.Weight.
func (w *weight) Bytes() int64 {
	return int64(w.rows())*int64(w.ld*w.dtype.Size()) + int64(2*w.n*w.lds)
}

// rows is how many rows the memory of the values has.
func (w *weight) rows() int {
	if w.adapter.rank > 0 {
		return roundUp(w.n, 8) + w.adapter.rank
	}
	return w.n
}

// row returns the address of row i.
func (w *weight) row(i int) cuda.Pointer { return w.at + cuda.Pointer(i*w.ld*w.dtype.Size()) }

// scale returns the address of the scales of row i.
func (w *weight) scale(i int) cuda.Pointer { return w.scales + cuda.Pointer(2*i*w.lds) }

// unused collects the memory of weights that the program has dropped. Cleanups fill it from a
// goroutine of the runtime.
type unused struct {
	sync.Mutex
	at []cuda.Pointer
}

// reclaim frees the memory of dropped weights. Operations that use a weight keep it alive until they
// have recorded their work.
func (d *Device) reclaim() {
	d.unused.Lock()
	defer d.unused.Unlock()
	for _, at := range d.unused.at {
		d.give(at)
	}
	d.unused.at = d.unused.at[:0]
}

// reclaimed gives memory of the device back once the program has dropped its owner, a weight or a table.
func reclaimed[T any](d *Device, owner *T, at cuda.Pointer) runtime.Cleanup {
	u := d.unused
	return runtime.AddCleanup(owner, func(at cuda.Pointer) {
		u.Lock()
		defer u.Unlock()
		u.at = append(u.at, at)
	}, at)
}

// newWeight allocates a weight with undefined values.
func (d *Device) newWeight(n, k int, dt dtype.DType) *weight {
	d.reclaim()
	w := &weight{n: n, k: k, dtype: dt}
	switch dt {
	case dtype.BF16:
		w.width = roundUp(k, 8) // 16 bytes
	case dtype.I8:
		w.width = roundUp(k, quantum)
		w.lds = roundUp(w.width/quantum, 2) // words
	default:
		w.width = k
	}
	w.ld = w.width
	w.at = d.takeWeight(n * w.ld * dt.Size())
	w.cleanup = reclaimed(d, w, w.at)
	if w.lds > 0 {
		w.scales = d.takeWeight(2 * n * w.lds)
		reclaimed(d, w, w.scales)
	}
	return w
}

// takeWeight allocates memory for a weight. If there is not enough, it looks for dropped weights that
// the garbage collector has not seen yet, as those of the model before this one.
func (d *Device) takeWeight(bytes int) cuda.Pointer {
	at, err := d.memory.take(bytes)
	for range 3 {
		if !cuda.OutOfMemory(err) {
			break
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond) // cleanups run beside this
		d.reclaim()
		at, err = d.memory.take(bytes)
	}
	d.check(err)
	d.memory.keep(at)
	return at
}

// quantum is how many integers share a scale.
const quantum = 64

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// Pack implements tensor.Device.
func (d *Device) Pack(m tensor.Matrix, dt dtype.DType) (made tensor.Weight, err error) {
	if err := checkMatrix(m); err != nil {
		return nil, err
	}
	if dt != dtype.F32 && dt != dtype.BF16 && dt != dtype.I8 {
		return nil, fmt.Errorf("packing as %s is not supported; expected F32, BF16 or I8", dt)
	}
	defer tensor.Guard(&err)
	d.begin("Pack", tensor.Tensor{Rows: m.Rows, Cols: m.Cols})
	w := d.newWeight(m.Rows, m.Cols, dt)
	bad := d.take(4)
	defer d.give(bad)
	d.stream.Fill(bad, 0, 4)
	d.packRows(w, m, bad)
	var count [1]int32
	d.download(bytesOf(count[:]), bad)
	if count[0] != 0 {
		return nil, notFinite(m)
	}
	return w, nil
}

// packRows brings the rows of a matrix to the GPU, some megabytes at a time, and packs them there. bad
// counts infinities and NaNs.
func (d *Device) packRows(w *weight, m tensor.Matrix, bad cuda.Pointer) {
	stored := m.DType // as the GPU reads it
	if stored != dtype.BF16 {
		stored = dtype.F32
	}
	// Rows without padding that stay as they are need no other place.
	inPlace := stored == w.dtype && w.ld == w.k
	most, size := max(1, stagingHalf/max(1, stored.Size()*m.Cols)), m.DType.Bytes(m.Cols)
	most = min(most, m.Rows)
	from := w.at
	if !inPlace {
		from = d.take(most * m.Cols * stored.Size())
		defer d.give(from)
	}
	var values []float32
	for lo := 0; lo < m.Rows; lo += most {
		hi := min(lo+most, m.Rows)
		if inPlace {
			from = w.row(lo)
		}
		if bytes := m.Bytes[lo*size : hi*size]; m.DType == stored {
			d.push(from, bytes)
		} else {
			values = growTo(values, (hi-lo)*m.Cols)
			dtype.Widen(values, m.DType, bytes)
			d.push(from, bytesOf(values))
		}
		m.ReleaseRows(lo, hi)
		d.pack(w, lo, hi, from, stored, bad)
	}
}

func growTo(v []float32, n int) []float32 {
	if cap(v) < n {
		return make([]float32, n)
	}
	return v[:n]
}

// pack packs rows of values on the GPU, F32 or BF16, as the rows lo ≤ i < hi of w.
func (d *Device) pack(w *weight, lo, hi int, from cuda.Pointer, stored dtype.DType, bad cuda.Pointer) {
	n := hi - lo
	if w.dtype == dtype.I8 {
		kernel := "quantize_weights_f32"
		if stored == dtype.BF16 {
			kernel = "quantize_weights_bf16"
		}
		d.launch(kernel, d.pieceBlocks(n, w.k), 1, cuda.Argument(w.row(lo)), cuda.Argument(w.scale(lo)),
			cuda.Argument(from), cuda.Int(w.k), cuda.Int(w.k), cuda.Int(w.lds), cuda.Size(n), cuda.Argument(bad))
		return
	}
	d.convert(rows{w.row(lo), w.dtype, w.width, w.ld}, rows{from, stored, w.k, w.k}, n, bad)
}

// rows are rows of `width` values in device memory, ld values apart.
type rows struct {
	at        cuda.Pointer
	dtype     dtype.DType
	width, ld int
}

// rowsOf returns the rows of a tensor.
func rowsOf(t tensor.Tensor) rows {
	stored := dtype.F32
	if t.Type == tensor.BF16 {
		stored = dtype.BF16
	}
	return rows{at(t), stored, t.Cols, t.Cols}
}

// convert sets n rows of y to those of x and the zeros behind them. bad, if it is not 0, counts infinities
// and NaNs.
func (d *Device) convert(y, x rows, n int, bad cuda.Pointer) {
	kernel := "rows_f32_to_"
	if x.dtype == dtype.BF16 {
		kernel = "rows_bf16_to_"
	}
	if y.dtype == dtype.BF16 {
		kernel += "bf16"
	} else {
		kernel += "f32"
	}
	d.launch(kernel, d.blocks(n*y.width), 1, cuda.Argument(y.at), cuda.Argument(x.at), cuda.Int(x.width), cuda.Int(x.ld),
		cuda.Int(y.width), cuda.Int(y.ld), cuda.Size(n), cuda.Argument(bad))
}

// pieceBlocks returns how many blocks work on the pieces in which n rows of k values are rotated, a warp
// per piece.
func (d *Device) pieceBlocks(n, k int) int {
	const longest, warps = 512, threads / 32
	pieces := k/longest + 4 // at most
	return min((n*pieces+warps-1)/warps, 16*d.gpu.Processors)
}

// notFinite is the error for the first infinity or NaN of a matrix.
func notFinite(m tensor.Matrix) error {
	row, size := make([]float32, m.Cols), m.DType.Bytes(m.Cols)
	for i := range m.Rows {
		dtype.Widen(row, m.DType, m.Bytes[i*size:(i+1)*size])
		for j, v := range row {
			if v-v != 0 {
				return fmt.Errorf("the value at row %d, column %d is %g, expected a finite number", i, j, v)
			}
		}
	}
	return fmt.Errorf("an infinity or NaN was found, and is no longer there: the file has changed")
}

// PackTensor implements tensor.Device.
func (d *Device) PackTensor(t tensor.Tensor) tensor.Weight {
	d.begin("PackTensor", t)
	w := d.newWeight(t.Rows, t.Cols, dtype.F32)
	d.Repack(w, t)
	return w
}

// Repack implements tensor.Device.
func (d *Device) Repack(tw tensor.Weight, t tensor.Tensor) {
	w := tw.(*weight)
	if w.n != t.Rows || w.k != t.Cols || w.dtype != dtype.F32 {
		panic("cuda: Repack: the weight has another shape or type")
	}
	checkF32("Repack", t)
	d.begin("Repack", t)
	if t.Len() > 0 {
		d.stream.Copy(w.at, cuda.Pointer(t.Handle), 4*t.Len())
	}
	d.stamps++
	w.stamp = d.stamps
	runtime.KeepAlive(w)
}

// Select implements tensor.Device.
func (d *Device) Select(tw tensor.Weight, rows []int32) tensor.Weight {
	w := tw.(*weight)
	for _, r := range rows {
		if r < 0 || int(r) >= w.n {
			panic(fmt.Sprintf("cuda: Select: row %d is outside a weight of %d", r, w.n))
		}
	}
	d.begin("Select", tensor.Tensor{Rows: len(rows), Cols: w.k})
	s := d.newWeight(len(rows), w.k, w.dtype)
	list := d.bring(bytesOf(rows))
	pick := func(to, from cuda.Pointer, words, ldx int) {
		d.launch("select_rows", len(rows), 1, cuda.Argument(to), cuda.Argument(from), cuda.Argument(list.at), cuda.Int(words), cuda.Int(ldx))
	}
	size := w.dtype.Size()
	pick(s.at, w.at, w.width*size/4, w.ld*size/4)
	if w.lds > 0 {
		pick(s.scales, w.scales, w.lds/2, w.lds/2)
	}
	d.drop(list)
	runtime.KeepAlive(w)
	return s
}

// Screen implements tensor.Device. It makes no copy: to read all of a head in bfloat16 is cheap here
// beside what the second product and the choice between both would add.
func (d *Device) Screen(w tensor.Weight) tensor.Weight { return w }

// Unpack implements tensor.Device.
func (d *Device) Unpack(y tensor.Tensor, tw tensor.Weight, from int) {
	const unit = 128
	w := tw.(*weight)
	if y.Cols != w.k || from < 0 || from%unit != 0 || from+y.Rows > w.n {
		panic("cuda: Unpack: the rows do not fit")
	}
	d.begin("Unpack", y)
	if w.dtype == dtype.I8 {
		d.launch("dequantize_f32", d.blocks(y.Len()), 1, pointer(y), cuda.Argument(w.row(from)), cuda.Argument(w.scale(from)),
			cuda.Int(w.k), cuda.Int(w.lds), cuda.Int(w.k), cuda.Size(y.Rows))
		d.rotate(y, y, false)
	} else {
		d.convert(rowsOf(y), rows{w.row(from), w.dtype, w.k, w.ld}, y.Rows, 0)
	}
	runtime.KeepAlive(w)
}

// rotate sets y to the rotated rows of x, or adds them. y may be x.
func (d *Device) rotate(y, x tensor.Tensor, add bool) {
	d.launch("hadamard", d.pieceBlocks(x.Rows, x.Cols), 1, pointer(y), pointer(x), cuda.Int(x.Cols), cuda.Size(x.Rows), flag(add))
}
