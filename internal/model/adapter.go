package model

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/mapped"
	"barka/internal/nn"
	"barka/internal/safetensors"
	"barka/internal/tensor"
)

// Adapter is a LoRA adapter attached to a decoder.
type Adapter struct {
	Config lora.Config
	Pairs  []*lora.Pair
}

// NewAdapter attaches new pairs to the layers that cfg targets. A is drawn from seed, and B
// is zero.
func NewAdapter(m Decoder, cfg lora.Config, seed int64) (*Adapter, error) {
	var names []string
	for _, l := range m.Linears() {
		names = append(names, l.Name)
	}
	if cfg.Targets.Pattern == lora.AllLinear {
		// A list of names is clear to programs that do not know AllLinear.
		cfg.Targets = lora.Targets{List: lora.Kinds(names)}
		if strings.HasPrefix(names[0], languageModule) {
			// A list would also name the layers that read images.
			kinds := strings.Join(cfg.Targets.List, "|")
			cfg.Targets = lora.Targets{Pattern: regexp.QuoteMeta(languageModule) + `.*\.(?:` + kinds + ")"}
		}
	}
	if err := cfg.Targets.Check(names); err != nil {
		return nil, err
	}
	a := &Adapter{Config: cfg}
	rng := rand.New(rand.NewPCG(uint64(seed), 0x6c6f7261))
	for _, l := range m.Linears() {
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
	return a, nil
}

// attach adds a pair to the adapter and to a layer.
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
	err = mapped.Guard(func() error { return a.load(m, f, dir) })
	if changed := f.Unchanged(); changed != nil {
		return nil, changed // which may be the cause of any other error
	}
	return a, err
}

// load attaches the pairs of an adapter file.
func (a *Adapter) load(m Decoder, f checkpoint.File, dir string) error {
	cfg, used := &a.Config, 0
	for _, l := range m.Linears() {
		if _, _, ok := f.Info(lora.NameA(l.Name)); !ok {
			continue
		}
		n, k := l.Dims()
		scale, rank := cfg.Scale(l.Name)
		p := &lora.Pair{Module: l.Name, Scale: scale}
		var err error
		if p.A, err = readTensor(m.Device(), f, lora.NameA(l.Name), rank, k); err != nil {
			return err
		}
		if p.B, err = readTensor(m.Device(), f, lora.NameB(l.Name), n, rank); err != nil {
			return err
		}
		a.attach(m, l, p)
		used += 2
	}
	return unused(dir, f, used, cfg)
}

// CheckAdapter returns an error if the shapes of an adapter's tensors do not fit a model's
// linear layers. It reads no values.
func CheckAdapter(dir string, cfg *lora.Config, layers []Linear) error {
	f, err := checkpoint.OpenAdapter(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	used := 0
	for _, l := range layers {
		_, a, ok := f.Info(lora.NameA(l.Name))
		if !ok {
			continue
		}
		_, b, _ := f.Info(lora.NameB(l.Name))
		_, rank := cfg.Scale(l.Name)
		if !slices.Equal(a, []int{rank, l.K}) || !slices.Equal(b, []int{l.N, rank}) {
			return badinput.Errorf("adapter %s: the pair of %s has the shapes %v and %v, expected %v and %v; is it an adapter of %s?",
				dir, l.Name, a, b, []int{rank, l.K}, []int{l.N, rank}, cfg.BaseModel)
		}
		used += 2
	}
	return unused(dir, f, used, cfg)
}

// unused returns an error if the model uses fewer tensors than the adapter's file has.
func unused(dir string, f checkpoint.File, used int, cfg *lora.Config) error {
	if names := f.Names(); used != len(names) {
		return badinput.Errorf("adapter %s: %d of its %d tensors fit no linear layer of the model; is it an adapter of %s?",
			dir, len(names)-used, len(names), cfg.BaseModel)
	}
	return nil
}

// readTensor loads a stored matrix [rows,cols] as float32.
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

// Save writes the adapter as PEFT does, in float32. It writes the weights first and the
// configuration last; each has a temporary name until it is complete.
func (a *Adapter) Save(dev tensor.Device, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s := Stream{Dev: dev}
	for _, p := range a.Pairs {
		s.Add(lora.NameA(p.Module), p.A)
		s.Add(lora.NameB(p.Module), p.B)
	}
	if err := s.Write(filepath.Join(dir, lora.WeightsFile), map[string]string{"format": "pt"}); err != nil {
		return err
	}
	data, err := a.Config.File()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, lora.ConfigFile), data)
}

// Stream writes device tensors to a file as float32. It copies one tensor at a time.
type Stream struct {
	Dev     tensor.Device
	sources []safetensors.Source
	values  []float32 // the copy
}

// Add adds a tensor under a name.
func (s *Stream) Add(name string, t tensor.Tensor) {
	s.sources = append(s.sources, safetensors.Source{Name: name, DType: dtype.F32, Shape: []int{t.Rows, t.Cols},
		Data: func() ([]byte, error) {
			if cap(s.values) < t.Len() {
				s.values = make([]float32, t.Len())
			}
			s.values = s.values[:t.Len()]
			s.Dev.Download(s.values, t)
			return dtype.Bytes(s.values), nil
		}})
}

// Write writes the tensors as safetensors.Write does.
func (s *Stream) Write(path string, metadata map[string]string) error {
	return safetensors.WriteSources(path, s.sources, metadata)
}
