// Package tensor defines what the layers of a model compute with: dense matrices in a
// device's memory, packed weights, ragged batches, and the Device interface, which executes
// operations on them.
//
// It has no arithmetic. Package tensor/cpu implements Device on the host. Package
// tensor/conformance tests any implementation against float64.
//
// Letters in shapes: T tokens of the flat batch, S sequences, D width of the residual
// stream, H query heads, G key/value heads, Dh width of a head, N outputs and K inputs
// of a weight, V vocabulary.
package tensor

import (
	"fmt"
	"io"

	"barka/internal/dtype"
)

// Type is the type in which a device stores a tensor's values. Operations compute in float32
// and round what they store.
type Type uint8

// The types of tensors.
const (
	F32  Type = iota
	BF16      // on a device with memory of its own
)

// Size returns the bytes of one value.
func (t Type) Size() int {
	if t == BF16 {
		return 2
	}
	return 4
}

// String returns the name of the type.
func (t Type) String() string {
	if t == BF16 {
		return "BF16"
	}
	return "F32"
}

// Tensor is a dense row-major matrix [Rows, Cols] in the memory of one Device.
// The zero Tensor means "none"; optional operands accept it. Tensors are views: copying
// one copies no data.
type Tensor struct {
	Rows, Cols int
	Type       Type
	// Data holds the values if the device's memory is the host's. Only devices and tests
	// use it, never layers.
	Data []float32
	// Handle is the address on a device with memory of its own.
	Handle uintptr
}

// None reports whether t is the zero Tensor.
func (t Tensor) None() bool { return t.Rows == 0 && t.Cols == 0 && t.Data == nil && t.Handle == 0 }

// Slice returns the view of rows lo ≤ i < hi.
func (t Tensor) Slice(lo, hi int) Tensor {
	if lo < 0 || hi < lo || hi > t.Rows {
		panic("tensor: Slice: the rows are out of range")
	}
	s := Tensor{Rows: hi - lo, Cols: t.Cols, Type: t.Type}
	if t.Data != nil {
		s.Data = t.Data[lo*t.Cols : hi*t.Cols : hi*t.Cols]
	}
	if t.Handle != 0 {
		s.Handle = t.Handle + uintptr(t.Type.Size()*lo*t.Cols)
	}
	return s
}

// Heads returns the view of t [T, n·Dh] with one row per head [T·n, Dh].
func (t Tensor) Heads(n int) Tensor {
	if n <= 0 || t.Cols%n != 0 {
		panic("tensor: columns do not divide into heads")
	}
	return Tensor{Rows: t.Rows * n, Cols: t.Cols / n, Type: t.Type, Data: t.Data, Handle: t.Handle}
}

// Row returns the values of row i of a host tensor.
func (t Tensor) Row(i int) []float32 { return t.Data[i*t.Cols : (i+1)*t.Cols : (i+1)*t.Cols] }

// Len returns the number of values.
func (t Tensor) Len() int { return t.Rows * t.Cols }

// Bytes returns the memory of the values.
func (t Tensor) Bytes() int { return t.Type.Size() * t.Len() }

func (t Tensor) String() string { return fmt.Sprintf("[%d,%d]", t.Rows, t.Cols) }

// Host returns a tensor [rows, cols] of values in host memory. rows·cols must be
// len(data).
func Host(rows, cols int, data []float32) Tensor {
	if rows*cols != len(data) {
		panic("tensor: Host: the data do not fill the shape")
	}
	return Tensor{Rows: rows, Cols: cols, Data: data}
}

// Stored is a file that holds a matrix. What was read from it is valid if Stayed returns
// no error afterwards; otherwise the file has changed.
type Stored interface {
	io.ReaderAt
	Stayed() error
}

// Matrix is a matrix as a checkpoint file stores it: row-major, little-endian,
// usually a memory-mapped view that must outlive every use.
type Matrix struct {
	Rows, Cols int
	DType      dtype.DType
	Bytes      []byte
	// File, if not nil, holds the same bytes from Offset on. Reading a few rows from it
	// takes memory for these rows only.
	File   Stored
	Offset int64
	// Release, if not nil, is called with a range of bytes that have been copied and need
	// not stay in memory.
	Release func(begin, end int)
}

// ReleaseRows releases the rows lo ≤ i < hi, which have been copied.
func (m *Matrix) ReleaseRows(lo, hi int) {
	if m.Release != nil {
		row := m.DType.Bytes(m.Cols)
		m.Release(lo*row, hi*row)
	}
}

// Weight is a matrix W [N, K] (N outputs, K inputs) that a device has packed
// for products with activations: y = x·Wᵀ and dx = dy·W.
type Weight interface {
	// Dims returns N and K.
	Dims() (n, k int)
	// DType is the type of the packed values: F32, BF16 or I8.
	DType() dtype.DType
	// Bytes is the memory the packed values take.
	Bytes() int64
}

// Table is a matrix [V, D] whose rows are looked up, not multiplied: an embedding. A
// device may leave it in the mapped checkpoint.
type Table interface {
	// Dims returns V and D.
	Dims() (rows, cols int)
}

// Layout maps the rows of a flat batch to sequences, and lists the keys that each
// sequence sees. There is no padding.
//
// Sequence s owns the query rows Starts[s] ≤ i < Starts[s+1], and its first query has
// position Past[s]. Keys[s] lists the rows of the key and value tensors by key position
// 0, 1, 2, …: the batch's own rows in training, rows of a cache in decoding, shared rows
// for a shared prefix, one list per beam in beam search. Reordering beams or sharing a
// prefix therefore copies row numbers, never keys.
type Layout struct {
	Starts []int32   // [S+1]
	Past   []int32   // [S]
	Keys   [][]int32 // [S]
}

// Sequences returns S.
func (l *Layout) Sequences() int { return len(l.Past) }

// Positions returns the position of every query row [T].
func (l *Layout) Positions() []int32 {
	pos := make([]int32, l.Starts[len(l.Starts)-1])
	for s := range l.Past {
		for i := l.Starts[s]; i < l.Starts[s+1]; i++ {
			pos[i] = l.Past[s] + i - l.Starts[s]
		}
	}
	return pos
}

// Packed returns the layout of whole sequences of the given lengths, one after the other.
// Each sees its own rows as keys. Training, encoding, and scoring without a cache use it.
func Packed(lengths ...int) Layout {
	l := Layout{Starts: make([]int32, 1, len(lengths)+1), Past: make([]int32, len(lengths))}
	for _, n := range lengths {
		start := l.Starts[len(l.Starts)-1]
		keys := make([]int32, n)
		for i := range keys {
			keys[i] = start + int32(i)
		}
		l.Keys = append(l.Keys, keys)
		l.Starts = append(l.Starts, start+int32(n))
	}
	return l
}
