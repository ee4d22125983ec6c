package model

import (
	"encoding/json"
	"slices"

	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// Requires returns the shapes of the tensors that an architecture reads from a checkpoint
// with the settings in dir/config.json, and the number of its parameters. Matrices have no
// values. present lists tensors that the checkpoint has, for architectures that look for
// names.
func Requires(dir string, present ...string) (map[string][]int, Info, error) {
	data, err := ReadConfig(dir)
	if err != nil {
		return nil, Info{}, err
	}
	var head configHead
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, Info{}, err
	}
	name, err := head.architecture(dir)
	if err != nil {
		return nil, Info{}, err
	}
	a := architectures[name]
	if data, err = a.withDefaults(data); err != nil {
		return nil, Info{}, err
	}
	shapes := shapesOnly{present: present, shapes: map[string][]int{}}
	w := &Weights{dir: dir, dev: noDevice{}, dtype: dtype.F32, ck: shapes, used: map[string]bool{}, arch: name}
	m, err := a.Load(data, w)
	if err == nil {
		err = w.finish(nil)
	}
	if err != nil {
		return nil, Info{}, err
	}
	return shapes.shapes, m.(interface{ Info() Info }).Info(), nil
}

// shapesOnly is a checkpoint that has every matrix that is asked for, and records its shape.
type shapesOnly struct {
	checkpoint.File
	present []string
	shapes  map[string][]int
}

func (s shapesOnly) Names() []string      { return s.present }
func (s shapesOnly) Has(name string) bool { return slices.Contains(s.present, name) }
func (s shapesOnly) Bytes() int64         { return 0 }
func (s shapesOnly) Release(string)       {}

func (s shapesOnly) Matrix(name string, rows, cols int) (tensor.Matrix, error) {
	s.shapes[name] = []int{rows, cols}
	return tensor.Matrix{Rows: rows, Cols: cols, DType: dtype.F32}, nil
}

// noDevice accepts matrices without values.
type noDevice struct{ tensor.Device }

func (noDevice) Alloc(rows, cols int) tensor.Tensor                     { return tensor.Tensor{Rows: rows, Cols: cols} }
func (noDevice) Upload(tensor.Tensor, []float32)                        {}
func (noDevice) Lookup(tensor.Matrix) (tensor.Table, error)             { return noTable{}, nil }
func (noDevice) Pack(tensor.Matrix, dtype.DType) (tensor.Weight, error) { return nil, nil }

type noTable struct{ tensor.Table }
