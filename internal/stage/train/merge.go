package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/model"
	"barka/internal/pipeline"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// maxShard is the size of a merged model's files, transformers' default.
const maxShard = 5 << 30

// Merge writes base + adapter as a model of its own: W + s·B·A in float32,
// rounded once to W's stored type. Everything else is copied, and extra files
// are added. The directory appears whole or not at all.
func Merge(dev tensor.Device, base, adapter, out string, extra map[string][]byte, progress pipeline.Progress) error {
	if _, err := os.Stat(out); err == nil {
		return badinput.Errorf("merge: %s exists; remove it or name another --out", out)
	}
	cfg, err := lora.ReadConfig(adapter)
	if err != nil {
		return err
	}
	model, err := checkpoint.Open(base)
	if err != nil {
		return err
	}
	defer model.Close()
	delta, err := checkpoint.OpenAdapter(adapter)
	if err != nil {
		return err
	}
	defer delta.Close()
	m := &merger{dev: dev, cfg: cfg, model: model, delta: delta}
	if m.untied, err = untied(base); err != nil {
		return err
	}
	sources, total, err := m.sources()
	if err != nil {
		return err
	}
	tmp := out + ".partial"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return badinput.Wrap(err)
	}
	progress.Start("merge", total, "B")
	err = safetensors.WriteModel(tmp, sources, map[string]string{"format": "pt"}, maxShard, func(n int64) { progress.Add(n) })
	progress.Done()
	if err == nil {
		err = copyOthers(base, tmp)
	}
	for name, data := range extra {
		if err == nil {
			err = os.WriteFile(filepath.Join(tmp, name), data, 0o644)
		}
	}
	if err == nil {
		err = os.Rename(tmp, out)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

type merger struct {
	dev          tensor.Device
	cfg          *lora.Config
	model, delta checkpoint.File
	untied       bool
	last         string // the tensor that was read last
}

// untied reports whether config.json says that no two matrices are the same,
// whatever the checkpoint holds.
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

// sources lists the merged model's tensors, and checks that each tensor of
// the adapter has its place. Tied tensors are written once, as transformers
// does.
func (m *merger) sources() ([]safetensors.Source, int64, error) {
	var out []safetensors.Source
	var total int64
	used := 0
	for _, name := range m.model.Names() {
		repeated, err := m.repeated(name)
		if err != nil {
			return nil, 0, err
		}
		if repeated {
			continue
		}
		dt, shape, _ := m.model.Info(name)
		s := safetensors.Source{Name: name, DType: dt, Shape: shape, Data: func() ([]byte, error) { return m.copied(name) }}
		if module, ok := strings.CutSuffix(name, ".weight"); ok && m.delta.Has(lora.NameA(module)) {
			used += 2
			s.Data = func() ([]byte, error) { return m.merge(module, name) }
		}
		out = append(out, s)
		total += int64(s.Size())
	}
	if n := len(m.delta.Names()); n != used {
		return nil, 0, badinput.Errorf("merge: %d of the adapter's %d tensors fit no layer of the model; is it an adapter of %s?",
			n-used, n, m.cfg.BaseModel)
	}
	return out, total, nil
}

// repeated reports whether a tensor is tied to another one.
func (m *merger) repeated(name string) (bool, error) {
	owner := m.model.Owner(name)
	if owner == name || m.untied {
		return false, nil
	}
	return checkpoint.Same(m.model, name, owner)
}

// take reads a tensor and lets go of the one before.
func (m *merger) take(name string) (safetensors.Tensor, error) {
	if m.last != "" {
		m.model.Forget(m.last)
	}
	m.last = name
	return m.model.Tensor(name)
}

// copied returns the bytes of a tensor that stays as it is.
func (m *merger) copied(name string) ([]byte, error) {
	t, err := m.take(name)
	return t.Data, err
}

// merge returns a layer's merged weights in their stored type.
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
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("merge: tensor %s: the merged value at row %d, column %d is %g", t.Name, i/k, i%k, v)
		}
	}
	return dtype.Narrow(t.DType, w), nil
}

func (m *merger) read(name string, rows, cols int) ([]float32, error) {
	x, err := m.delta.Matrix(name, rows, cols)
	if err != nil {
		return nil, err
	}
	return dtype.Float32s(x.DType, x.Bytes)
}

// weights are files of a model's weights, and their indices, in the formats
// that the hub has. Those of a base are not those of the merged model.
var weights = regexp.MustCompile(`\.(safetensors|bin|pth?|h5|msgpack|ot|gguf|onnx)(\.index\.json)?$`)

// copyOthers copies what a model directory holds beside its weights.
func copyOthers(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || weights.MatchString(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a dangling link
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
