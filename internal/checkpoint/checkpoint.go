// Package checkpoint opens the weights of a model or an adapter in any supported format.
package checkpoint

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dtype"
	"barka/internal/gguf"
	"barka/internal/safetensors"
	"barka/internal/tensor"
	"barka/internal/torchfile"
)

// File is an open checkpoint: named tensors on disk.
type File interface {
	// Names lists the tensors, sorted.
	Names() []string
	// Has reports whether the checkpoint holds a tensor.
	Has(name string) bool
	// Info returns a tensor's type and shape.
	Info(name string) (dtype.DType, []int, bool)
	// Owner returns the first name under which a tensor's values are stored:
	// its own, unless it is tied to another tensor.
	Owner(name string) string
	// Tensor returns a tensor, row-major.
	Tensor(name string) (safetensors.Tensor, error)
	// Matrix returns a floating-point tensor, which must have shape [rows, cols]. A vector
	// counts as one row.
	Matrix(name string, rows, cols int) (tensor.Matrix, error)
	// Bytes returns the size of all tensors. Tensors with another owner are not counted.
	Bytes() int64
	// Release lets the system drop a tensor's bytes from memory. Reading them again is slow
	// but valid.
	Release(name string)
	// Unchanged returns an error if a file has changed since it was opened.
	Unchanged() error
	// Close unmaps the files. Views of their bytes must not be used afterwards.
	Close() error
}

// The formats of weights.
const (
	Safetensors = "safetensors"
	Torch       = "PyTorch"
	GGUF        = "GGUF"
)

// candidate is a file that may hold the weights.
type candidate struct {
	name, format string
	index        bool // it lists shards
}

// The candidates, in the order in which transformers and peft look for them.
var (
	modelFiles = []candidate{
		{safetensors.Name, Safetensors, false}, {safetensors.IndexName, Safetensors, true},
		{torchfile.Name, Torch, false}, {torchfile.IndexName, Torch, true},
		{gguf.Name, GGUF, false},
	}
	adapterFiles = []candidate{{"adapter_model.safetensors", Safetensors, false}, {"adapter_model.bin", Torch, false}}
)

// Open opens the weights of a model directory.
func Open(dir string) (File, error) {
	p, err := find("model", dir, modelFiles)
	if err != nil {
		return nil, err
	}
	return p.open(dir)
}

// OpenAdapter opens the weights of a PEFT adapter.
func OpenAdapter(dir string) (File, error) {
	p, err := find("adapter", dir, adapterFiles)
	if err != nil {
		return nil, err
	}
	return p.open(dir)
}

// Same reports whether two tensors have the same type, shape and values. It releases the
// bytes that it has compared, so that comparing takes no memory.
func Same(f File, a, b string) (bool, error) {
	typeA, shapeA, _ := f.Info(a)
	typeB, shapeB, _ := f.Info(b)
	if typeA != typeB || !slices.Equal(shapeA, shapeB) {
		return false, nil
	}
	x, err := f.Tensor(a)
	if err != nil {
		return false, err
	}
	y, err := f.Tensor(b)
	if err != nil {
		return false, err
	}
	const block = 16 << 20
	for at := 0; at < len(x.Data); at += block {
		end := min(at+block, len(x.Data))
		same := bytes.Equal(x.Data[at:end], y.Data[at:end])
		f.Release(a)
		f.Release(b)
		if !same {
			return false, nil
		}
	}
	return true, nil
}

// Paths returns the format of a model's weights and the files that hold them, sorted and
// without the index.
func Paths(dir string) (format string, paths []string, err error) {
	p, err := find("model", dir, modelFiles)
	if err != nil {
		return "", nil, err
	}
	paths, err = p.paths(dir)
	return p.format, paths, err
}

// AdapterPath returns the file that holds the weights of an adapter.
func AdapterPath(dir string) (string, error) {
	p, err := find("adapter", dir, adapterFiles)
	return filepath.Join(dir, p.name), err
}

// find returns the first candidate that exists.
func find(what, dir string, files []candidate) (candidate, error) {
	var names []string
	for _, p := range files {
		there, err := badinput.Exists(filepath.Join(dir, p.name))
		if err != nil {
			return candidate{}, badinput.Wrap(err)
		}
		if there {
			return p, nil
		}
		names = append(names, p.name)
	}
	return candidate{}, badinput.Errorf("%s %s: no weights found; expected %s", what, dir, strings.Join(names, ", "))
}

// paths returns the files that hold the weights.
func (p candidate) paths(dir string) ([]string, error) {
	if !p.index {
		return []string{filepath.Join(dir, p.name)}, nil
	}
	shards, err := safetensors.ReadIndex(filepath.Join(dir, p.name))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(shards)) {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, nil
}

// open opens the weights.
func (p candidate) open(dir string) (File, error) {
	path := filepath.Join(dir, p.name)
	if p.index {
		path = dir
	}
	switch p.format {
	case Torch:
		return opened(torchfile.Open(path))
	case GGUF:
		return opened(gguf.Open(path))
	}
	return opened(safetensors.Open(path))
}

// opened makes a File of what a format's Open returns. An interface must not
// hold a nil pointer.
func opened[F File](f F, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}
