package gguf

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/mapped"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// Name is the name of the file in the directories that Directory makes.
const Name = "model.gguf"

// File is an open GGUF file as a checkpoint: its tensors have the names and the
// order of rows that transformers gives them.
type File struct {
	path    string
	file    *mapped.File
	head    *contents
	family  family
	tensors map[string]entry
	heads   map[string]int // of queries or keys whose rows are stored in pairs
}

// Open opens the weights of a file.
func Open(path string) (*File, error) {
	m, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, file: m, tensors: map[string]entry{}, heads: map[string]int{}}
	if err := f.read(); err != nil {
		m.Close()
		return nil, badinput.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *File) read() (err error) {
	if f.head, err = parse(f.file.Bytes); err != nil {
		return err
	}
	if f.family, err = f.head.family(); err != nil {
		return err
	}
	for stored, e := range f.head.tensors {
		if stored == ropeFactors {
			continue
		}
		name, err := f.family.hugging(stored)
		if err != nil {
			return err
		}
		f.tensors[name] = e
		if !f.family.permuted {
			continue
		}
		for part, key := range map[string]string{"self_attn.q_proj.": "attention.head_count", "self_attn.k_proj.": "attention.head_count_kv"} {
			if !strings.Contains(name, part) {
				continue
			}
			n, err := f.head.heads(key)
			if err != nil {
				return err
			}
			if rows := e.rows(); rows%(2*n) != 0 {
				return badinput.Errorf("tensor %s has %d rows, which are no pairs of %d heads", stored, rows, n)
			}
			f.heads[name] = n
		}
	}
	return nil
}

// rows is the number of rows of a matrix, or of the values of a bias, which are
// rows of one value each here.
func (e entry) rows() int { return e.shape[0] }

// Names implements checkpoint.File.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Has implements checkpoint.File.
func (f *File) Has(name string) bool { _, ok := f.tensors[name]; return ok }

// Info implements checkpoint.File.
func (f *File) Info(name string) (dtype.DType, []int, bool) {
	e, ok := f.tensors[name]
	return e.dtype, e.shape, ok
}

// Owner implements checkpoint.File: no tensor stands twice.
func (f *File) Owner(name string) string { return name }

// Bytes implements checkpoint.File.
func (f *File) Bytes() int64 {
	var n int64
	for _, e := range f.tensors {
		n += int64(e.bytes)
	}
	return n
}

// Tensor implements checkpoint.File.
func (f *File) Tensor(name string) (safetensors.Tensor, error) {
	e, ok := f.tensors[name]
	if !ok {
		return safetensors.Tensor{}, badinput.Errorf("%s: tensor %s is missing", f.path, name)
	}
	return safetensors.Tensor{Name: name, DType: e.dtype, Shape: e.shape, Data: f.data(name, e)}, nil
}

// Matrix implements checkpoint.File.
func (f *File) Matrix(name string, rows, cols int) (tensor.Matrix, error) {
	t, err := f.Tensor(name)
	if err != nil {
		return tensor.Matrix{}, err
	}
	m, err := t.Matrix(f.path, rows, cols)
	if err != nil {
		return m, err
	}
	if e := f.tensors[name]; f.stored(name) {
		m.File, m.Offset = f.file, int64(e.begin)
		m.Release = func(begin, end int) { f.file.Release(e.begin+begin, e.begin+end) }
	}
	return m, nil
}

// stored reports whether a tensor's bytes are those of the file.
func (f *File) stored(name string) bool { return f.heads[name] == 0 && !f.shifted(name) }

// shifted reports whether a tensor is a norm stored with 1 added.
func (f *File) shifted(name string) bool {
	return f.family.plusOne && strings.HasSuffix(name, "norm.weight") && f.tensors[name].dtype == dtype.F32
}

// data returns a tensor's bytes, a view of the file where they are as
// transformers has them.
func (f *File) data(name string, e entry) []byte {
	b := f.file.Bytes[e.begin : e.begin+e.bytes]
	switch {
	case f.shifted(name):
		out := make([]byte, len(b))
		for i := 0; i < len(b); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
			binary.LittleEndian.PutUint32(out[i:], math.Float32bits(v-1))
		}
		return out
	case f.heads[name] > 0:
		return unpaired(b, e.rows(), f.heads[name])
	}
	return b
}

// unpaired puts the rows of each head back in order. Its first and second
// halves, which the rotation pairs, are stored alternately.
func unpaired(b []byte, rows, heads int) []byte {
	out, size, half := make([]byte, len(b)), len(b)/rows, rows/heads/2
	for h := range heads {
		for i := range half {
			for side := range 2 {
				to, from := 2*h*half+side*half+i, 2*h*half+2*i+side
				copy(out[to*size:(to+1)*size], b[from*size:(from+1)*size])
			}
		}
	}
	return out
}

// Release implements checkpoint.File.
func (f *File) Release(name string) {
	if e, ok := f.tensors[name]; ok {
		f.file.Release(e.begin, e.begin+e.bytes)
	}
}

// Unchanged implements checkpoint.File.
func (f *File) Unchanged() error { return f.file.Unchanged() }

// Close implements checkpoint.File.
func (f *File) Close() error { return f.file.Close() }
