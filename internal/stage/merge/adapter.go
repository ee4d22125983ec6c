package merge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// merger merges an adapter into a base, tensor by tensor.
type merger struct {
	ctx          context.Context // ends the work between two tensors
	dev          tensor.Device
	base         string // directory
	cfg          *lora.Config
	model, delta checkpoint.File
	untied       bool
	head         string // the name of the head that is written beside the embeddings to which it was tied, or ""
	sources      []safetensors.Source
	total        int64  // bytes of sources
	last         string // the tensor that was read last
}

func openMerger(ctx context.Context, dev tensor.Device, base, adapter string) (*merger, error) {
	cfg, err := lora.ReadConfig(adapter)
	if err != nil {
		return nil, err
	}
	m := &merger{ctx: ctx, dev: dev, cfg: cfg, base: base}
	if m.model, err = checkpoint.Open(base); err != nil {
		return nil, err
	}
	if m.delta, err = checkpoint.OpenAdapter(adapter); err != nil {
		return nil, errors.Join(err, m.model.Close())
	}
	if m.untied, err = untied(base); err == nil {
		err = m.list()
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *merger) bytes() int64 { return m.total }

// write implements job.
func (m *merger) write(dir string, done func(int64)) error {
	if err := safetensors.WriteModel(dir, m.sources, map[string]string{"format": "pt"}, maxShard, done); err != nil {
		return err
	}
	if err := copyOthers(m.base, dir); err != nil || m.head == "" {
		return err
	}
	return writeUntied(dir)
}

// unchanged implements job.
func (m *merger) unchanged() error { return cmp.Or(m.model.Unchanged(), m.delta.Unchanged()) }

func (m *merger) close() {
	m.model.Close()
	m.delta.Close()
}

// untied reports whether config.json states that the embeddings are not tied,
// even if the checkpoint ties them.
func untied(dir string) (bool, error) {
	data, err := model.ReadConfig(dir)
	if err != nil {
		return false, err
	}
	var c struct {
		Tie *bool `json:"tie_word_embeddings"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return false, badinput.Errorf("%s/config.json: %w", dir, err)
	}
	return c.Tie != nil && !*c.Tie, nil
}

// list makes the list of the merged model's tensors, and checks that each
// tensor of the adapter has its place. Tied tensors are written once, as
// transformers does.
func (m *merger) list() error {
	used := 0
	for _, name := range m.model.Names() {
		repeated, err := repeats(m.model, name, m.untied)
		if err != nil {
			return err
		}
		if repeated {
			continue
		}
		dt, shape, _ := m.model.Info(name)
		s := safetensors.Source{Name: name, DType: written(dt), Shape: shape, Data: func() ([]byte, error) { return m.copied(name) }}
		stored, ok := strings.CutSuffix(name, ".weight")
		module := model.Module(stored)
		if ok && m.replaces(module) {
			used++
			s.Data = func() ([]byte, error) { return m.replaced(module, name) }
		}
		if ok && m.delta.Has(lora.NameA(module)) {
			used += 2
			if m.cfg.DoRA {
				used++
			}
			if ok, err := m.cfg.Adapts(module); err == nil && !ok {
				return badinput.Errorf("merge: the adapter has tensors for %s, which target_modules, exclude_modules and "+
					"layers_to_transform leave out; peft would ignore them", module)
			}
			s.Data = func() ([]byte, error) { return m.merge(module, name) }
		}
		m.sources = append(m.sources, s)
		m.total += int64(s.Size())
	}
	if err := m.untie(&used); err != nil {
		return err
	}
	if n := len(m.delta.Names()); n != used {
		return badinput.Errorf("merge: %d of the adapter's %d tensors fit no layer of the model; is it an adapter of %s?",
			n-used, n, m.cfg.BaseModel)
	}
	return nil
}

// repeats reports whether a tensor is tied to another one of a model. With untied the
// configuration says that none is.
func repeats(f checkpoint.File, name string, untied bool) (bool, error) {
	owner := f.Owner(name)
	if owner == name || untied {
		return false, nil
	}
	return checkpoint.Same(f, name, owner)
}

// take reads a tensor and releases the previous one.
func (m *merger) take(name string) (safetensors.Tensor, error) {
	if err := m.ctx.Err(); err != nil {
		return safetensors.Tensor{}, err
	}
	if m.last != "" {
		m.model.Release(m.last)
	}
	m.last = name
	return m.model.Tensor(name)
}

// written returns the type in which a tensor is written: its own, or bfloat16 for the
// quantised blocks of GGUF files, which safetensors has no type for.
func written(stored dtype.DType) dtype.DType {
	if stored.Blocked() {
		return dtype.BF16
	}
	return stored
}

// copied returns the bytes of a tensor whose values stay as they are.
func (m *merger) copied(name string) ([]byte, error) {
	t, err := m.take(name)
	if err != nil || written(t.DType) == t.DType {
		return t.Data, err
	}
	w, err := dtype.Float32s(t.DType, t.Data)
	if err != nil {
		return nil, badinput.Errorf("merge: tensor %s: %w", t.Name, err)
	}
	return dtype.Narrow(written(t.DType), w), nil
}

// merge returns a layer's merged weights in the type in which they are written.
func (m *merger) merge(module, name string) ([]byte, error) {
	t, err := m.take(name)
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 2 {
		return nil, badinput.Errorf("merge: tensor %s has shape %v, expected a matrix", t.Name, t.Shape)
	}
	n, k := t.Shape[0], t.Shape[1]
	scale, rank := m.cfg.Scale(module)
	a, err := m.read(lora.NameA(module), rank, k)
	if err != nil {
		return nil, err
	}
	b, err := m.read(lora.NameB(module), n, rank)
	if err != nil {
		return nil, err
	}
	w, err := dtype.Float32s(t.DType, t.Data)
	if err != nil {
		return nil, badinput.Errorf("merge: tensor %s: %w", t.Name, err)
	}
	// GradWeight computes dyᵀ·x: with dy = s·Bᵀ and x = A it is s·B·A.
	bt := make([]float32, len(b))
	for i := range n {
		for j := range rank {
			bt[j*n+i] = b[i*rank+j] * scale
		}
	}
	sum, dy, x := m.dev.Alloc(n, k), m.dev.Alloc(rank, n), m.dev.Alloc(rank, k)
	defer m.dev.Free(sum, dy, x)
	m.dev.Upload(sum, w)
	m.dev.Upload(dy, bt)
	m.dev.Upload(x, a)
	m.dev.GradWeight(sum, dy, x)
	m.dev.Download(w, sum)
	if m.cfg.DoRA {
		lengths, err := m.read(lora.NameM(module), 1, n)
		if err != nil {
			return nil, err
		}
		stretch(w, lengths)
	}
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("merge: tensor %s: the merged value at row %d, column %d is %g", t.Name, i/k, i%k, v)
		}
	}
	return dtype.Narrow(written(t.DType), w), nil
}

// stretch scales the rows of w [N,K] to lengths [N].
func stretch(w, lengths []float32) {
	k := len(w) / len(lengths)
	for i, length := range lengths {
		row := w[i*k : (i+1)*k]
		var sum float64
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		factor := float32(float64(length) / math.Sqrt(sum))
		for j := range row {
			row[j] *= factor
		}
	}
}

func (m *merger) read(name string, rows, cols int) ([]float32, error) {
	x, err := m.delta.Matrix(name, rows, cols)
	if err != nil {
		return nil, err
	}
	return dtype.Float32s(x.DType, x.Bytes)
}
