package model

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/lora"
	"barka/internal/mapped"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Adapter is a LoRA adapter attached to a decoder.
type Adapter struct {
	Config lora.Config
	Pairs  []*lora.Pair
	// Full are the modules of which the adapter has weights of its own.
	Full []*Full
}

// NewAdapter attaches new pairs to the layers that cfg adapts. They are initialised as
// init_lora_weights says, from seed.
func NewAdapter(m Decoder, cfg lora.Config, seed int64) (_ *Adapter, err error) {
	defer tensor.Guard(&err)
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
	if err := cmp.Or(cfg.Targets.Check(names), cfg.CheckLayers(names)); err != nil {
		return nil, err
	}
	a := &Adapter{Config: cfg}
	rng := rand.New(rand.NewPCG(uint64(seed), 0x6c6f7261))
	for _, l := range m.Linears() {
		ok, err := cfg.Adapts(l.Name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		scale, rank := cfg.Scale(l.Name)
		p, err := lora.NewPair(m.Device(), l.Name, l.W, rank, scale, cfg.InitWeights, rng)
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		a.attach(m, l, p)
		if cfg.DoRA {
			l.LoRA.AddMagnitude(m.Device(), l.W, tensor.Tensor{})
		}
	}
	return a, a.addFull(m, nil)
}

// attach adds a pair to the adapter and to a layer.
func (a *Adapter) attach(m Decoder, l *nn.Linear, p *lora.Pair) {
	p.Index = uint64(len(a.Pairs))
	p.Pack(m.Device())
	if p.Initial != nil {
		p.Initial.Pack(m.Device())
	}
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
	err = mapped.Guard(func() (err error) {
		defer tensor.Guard(&err)
		return a.load(m, f, dir)
	})
	if changed := f.Unchanged(); changed != nil {
		return nil, changed // which may be the cause of any other error
	}
	return a, err
}

// load attaches the pairs of an adapter file.
func (a *Adapter) load(m Decoder, f checkpoint.File, dir string) error {
	var layers []Linear
	for _, l := range m.Linears() {
		n, k := l.Dims()
		layers = append(layers, Linear{l.Name, n, k})
	}
	if err := fitting(dir, f, &a.Config, layers, m.Info()); err != nil {
		return err
	}
	dev := m.Device()
	for _, l := range m.Linears() {
		if !f.Has(lora.NameA(l.Name)) {
			continue
		}
		n, k := l.Dims()
		scale, rank := a.Config.Scale(l.Name)
		p := &lora.Pair{Module: l.Name, Scale: scale}
		var err error
		if p.A, err = readTensor(dev, f, lora.NameA(l.Name), rank, k); err != nil {
			return err
		}
		if p.B, err = readTensor(dev, f, lora.NameB(l.Name), n, rank); err != nil {
			return err
		}
		a.attach(m, l, p)
		if a.Config.DoRA {
			lengths, err := readTensor(dev, f, lora.NameM(l.Name), 1, n)
			if err != nil {
				return err
			}
			p.AddMagnitude(dev, l.W, lengths)
		}
	}
	return a.addFull(m, func(module string) (tensor.Tensor, error) {
		return readTensor(dev, f, lora.NameFull(module), m.Info().Vocab, m.Info().Hidden)
	})
}

// CheckAdapter returns an error if the shapes of an adapter's tensors do not fit a model's
// linear layers, or its vocabulary. It reads no values.
func CheckAdapter(dir string, cfg *lora.Config, layers []Linear, info Info) error {
	f, err := checkpoint.OpenAdapter(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return fitting(dir, f, cfg, layers, info)
}

// fitting returns an error if an adapter's tensors are not those that its configuration gives
// a model's linear layers.
func fitting(dir string, f checkpoint.File, cfg *lora.Config, layers []Linear, info Info) error {
	used := 0
	for _, name := range f.Names() {
		module, ok := lora.FullOf(name)
		if !ok || !cfg.Saves(module) {
			continue
		}
		if _, shape, _ := f.Info(name); !slices.Equal(shape, []int{info.Vocab, info.Hidden}) {
			return badinput.Errorf("adapter %s: tensor %s has shape %v, and the model has a vocabulary of %d and a width of %d; it is the "+
				"adapter of another model, or its vocabulary was extended", dir, name, shape, info.Vocab, info.Hidden)
		}
		used++
	}
	for _, l := range layers {
		if !f.Has(lora.NameA(l.Name)) {
			continue
		}
		_, rank := cfg.Scale(l.Name)
		want := map[string][]int{lora.NameA(l.Name): {rank, l.K}, lora.NameB(l.Name): {l.N, rank}}
		if cfg.DoRA {
			want[lora.NameM(l.Name)] = []int{l.N}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			switch _, shape, ok := f.Info(name); {
			case !ok:
				return badinput.Errorf("adapter %s: no tensor %s, beside %s; was the file cut, or is use_dora wrong?", dir, name,
					lora.NameA(l.Name))
			case !slices.Equal(shape, want[name]):
				return badinput.Errorf("adapter %s: tensor %s has shape %v, expected %v; is it an adapter of %s?",
					dir, name, shape, want[name], cfg.BaseModel)
			}
		}
		used += len(want)
		ok, err := cfg.Adapts(l.Name)
		if err == nil && !ok { // an expression of Python may be none of Go; the file counts then
			return badinput.Errorf("adapter %s: it has tensors for %s, which target_modules, exclude_modules and layers_to_transform leave "+
				"out; peft would ignore them", dir, l.Name)
		}
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
