package model

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/nn"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// Adapter is a LoRA adapter attached to a decoder.
type Adapter struct {
	Config lora.Config
	Pairs  []*lora.Pair
}

// NewAdapter attaches fresh pairs to the layers that cfg targets: A drawn
// from seed, B zero.
func NewAdapter(m Decoder, cfg lora.Config, seed int64) (*Adapter, error) {
	if cfg.Targets.Pattern == lora.AllLinear {
		// Other programs need not know which layers those are.
		cfg.Targets = lora.Targets{List: kinds(m)}
	}
	a := &Adapter{Config: cfg}
	rng := rand.New(rand.NewPCG(uint64(seed), 0x6c6f7261))
	var seen []string
	for _, l := range m.Linears() {
		seen = append(seen, l.Name)
		ok, err := cfg.Targets.Match(l.Name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		n, k := l.Dims()
		scale, rank := cfg.Scale(l.Name)
		p := lora.NewPair(m.Device(), l.Name, n, k, rank, scale, rng.Float64)
		a.attach(m, l, p)
	}
	if len(a.Pairs) == 0 {
		return nil, badinput.Errorf("no linear layer matches the adapter's target modules %v; the model has, for example, %s",
			cfg.Targets, strings.Join(seen[:min(len(seen), 7)], ", "))
	}
	return a, nil
}

// kinds lists the last parts of the linear layers' names, each once.
func kinds(m Decoder) []string {
	var names []string
	for _, l := range m.Linears() {
		if name := l.Name[strings.LastIndexByte(l.Name, '.')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (a *Adapter) attach(m Decoder, l *nn.Linear, p *lora.Pair) {
	p.Index = uint64(len(a.Pairs))
	p.Pack(m.Device())
	l.LoRA = p
	a.Pairs = append(a.Pairs, p)
}

// LoadAdapter reads a PEFT adapter directory and attaches it.
func LoadAdapter(m Decoder, dir string) (*Adapter, error) {
	cfg, err := lora.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := checkpoint.OpenAdapter(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &Adapter{Config: *cfg}
	used := 0
	for _, l := range m.Linears() {
		if _, _, ok := f.Info(lora.NameA(l.Name)); !ok {
			continue
		}
		n, k := l.Dims()
		scale, rank := cfg.Scale(l.Name)
		p := &lora.Pair{Module: l.Name, Scale: scale}
		if p.A, err = readTensor(m.Device(), f, lora.NameA(l.Name), rank, k); err != nil {
			return nil, err
		}
		if p.B, err = readTensor(m.Device(), f, lora.NameB(l.Name), n, rank); err != nil {
			return nil, err
		}
		a.attach(m, l, p)
		used += 2
	}
	if names := f.Names(); used != len(names) {
		return nil, badinput.Errorf("adapter %s: %d of its %d tensors fit no linear layer of the model; is it an adapter of %s?",
			dir, len(names)-used, len(names), cfg.BaseModel)
	}
	return a, nil
}

func readTensor(dev tensor.Device, f checkpoint.File, name string, rows, cols int) (tensor.Tensor, error) {
	m, err := f.Matrix(name, rows, cols)
	if err != nil {
		return tensor.Tensor{}, err
	}
	values, err := finiteValues(m)
	if err != nil {
		return tensor.Tensor{}, badinput.Errorf("tensor %s: %w", name, err)
	}
	t := dev.Alloc(rows, cols)
	dev.Upload(t, values)
	return t, nil
}

// Save writes the adapter as PEFT does, in float32: weights first, the
// configuration last, each under a temporary name until it is complete.
func (a *Adapter) Save(dev tensor.Device, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var ts []safetensors.Tensor
	for _, p := range a.Pairs {
		ts = append(ts, TensorOf(dev, lora.NameA(p.Module), p.A), TensorOf(dev, lora.NameB(p.Module), p.B))
	}
	if err := safetensors.Write(filepath.Join(dir, lora.WeightsFile), ts, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	data, err := a.Config.File()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, lora.ConfigFile), data)
}

// TensorOf copies a device tensor into a named float32 tensor for a file.
func TensorOf(dev tensor.Device, name string, t tensor.Tensor) safetensors.Tensor {
	values := make([]float32, t.Len())
	dev.Download(values, t)
	return safetensors.Tensor{Name: name, DType: dtype.F32, Shape: []int{t.Rows, t.Cols}, Data: dtype.Bytes(values)}
}
