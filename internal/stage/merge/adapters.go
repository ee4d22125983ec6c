package merge

import (
	"context"
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/gonum/mat"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/lora"
	"barka/internal/lowrank"
	"barka/internal/progress"
	"barka/internal/safetensors"
)

// Adapters writes the combination of several adapters of one base model as an adapter with a
// scale of 1, in PEFT's format. Each module is read, combined and written by itself.
func Adapters(ctx context.Context, c *Combination, out string, id Origin, reporter progress.Reporter) error {
	if err := c.Check(true); err != nil {
		return err
	}
	id.Combination = c
	return place(out, c.inputs("adapter"), id, reporter, func() (job, error) { return openCombiner(ctx, c) })
}

// combiner combines adapters.
type combiner struct {
	ctx     context.Context
	c       *Combination
	parts   []*adapterPart
	rank    int                  // of the result
	modules map[string][2]int    // N and K of each
	module  string               // the one that was combined last
	a, b    []float32            // its result
	sources []safetensors.Source // of the result
}

// adapterPart is one of the adapters.
type adapterPart struct {
	dir    string
	cfg    *lora.Config
	f      checkpoint.File
	weight float64
}

func openCombiner(ctx context.Context, c *Combination) (job, error) {
	m := &combiner{ctx: ctx, c: c, modules: map[string][2]int{}}
	for _, p := range c.Parts {
		if err := m.open(p); err != nil {
			m.close()
			return nil, err
		}
	}
	if err := m.plan(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// open opens an adapter and compares its modules with those of the ones before.
func (m *combiner) open(p Part) error {
	cfg, err := lora.ReadConfig(p.Dir)
	if err != nil {
		return err
	}
	if cfg.DoRA {
		return badinput.Errorf("merge: %s is a DoRA adapter, and the sum of two is no adapter; merge each into the model, and combine the "+
			"models", p.Dir)
	}
	if len(cfg.ModulesToSave) > 0 {
		return badinput.Errorf("merge: adapter %s has weights of its own for %v (modules_to_save), which are no update that could be added; "+
			"merge each adapter into the model, and combine the models", p.Dir, []string(cfg.ModulesToSave))
	}
	f, err := checkpoint.OpenAdapter(p.Dir)
	if err != nil {
		return err
	}
	part := &adapterPart{dir: p.Dir, cfg: cfg, f: f, weight: p.Weight}
	m.parts = append(m.parts, part)
	used := 0
	for _, name := range f.Names() {
		module, ok := lora.ModuleOf(name)
		if !ok {
			continue
		}
		used += 2
		if err := m.add(part, module); err != nil {
			return err
		}
	}
	if n := len(f.Names()); used != n || used == 0 {
		return badinput.Errorf("merge: %d of the %d tensors of adapter %s are no pairs of lora_A and lora_B", n-used, n, p.Dir)
	}
	return nil
}

// add adds a module of an adapter, which must have the shape that it has in the others.
func (m *combiner) add(p *adapterPart, module string) error {
	_, a, _ := p.f.Info(lora.NameA(module))
	_, b, ok := p.f.Info(lora.NameB(module))
	_, rank := p.cfg.Scale(module)
	if !ok || len(a) != 2 || len(b) != 2 || a[0] != rank || b[1] != rank {
		return badinput.Errorf("merge: adapter %s: the tensors A and B of %s have the shapes %v and %v, and its rank is %d", p.dir, module, a,
			b, rank)
	}
	shape := [2]int{b[0], a[1]}
	if was, known := m.modules[module]; known && was != shape {
		return badinput.Errorf("merge: %s has the shape %v in adapter %s, and %v in one before: they are adapters of different models",
			module, shape, p.dir, was)
	}
	m.modules[module] = shape
	return nil
}

// plan computes the rank of the result and lists its tensors.
func (m *combiner) plan() error {
	largest, total := 0, 0
	for _, p := range m.parts {
		most := 0
		for _, name := range p.f.Names() {
			if module, ok := lora.ModuleOf(name); ok {
				_, r := p.cfg.Scale(module)
				if m.c.Method == Linear && most > 0 && r != most || m.c.Method == Linear && largest > 0 && r != largest {
					return badinput.Errorf("merge: linear needs one rank, and %s has %d in adapter %s, another %d; use svd or cat", module, r,
						p.dir, max(most, largest))
				}
				most = max(most, r)
			}
		}
		largest, total = max(largest, most), total+most
	}
	switch m.rank = largest; {
	case m.c.Method == Cat:
		m.rank = total
	case m.c.Rank > 0:
		m.rank = m.c.Rank
	}
	for _, module := range slices.Sorted(maps.Keys(m.modules)) {
		n, k := m.modules[module][0], m.modules[module][1]
		if m.c.Method == SVD && m.rank > min(n, k) {
			return badinput.Errorf("merge: rank %d is larger than %s of shape [%d %d] has; take at most %d", m.rank, module, n, k, min(n, k))
		}
		m.sources = append(m.sources,
			safetensors.Source{Name: lora.NameA(module), DType: dtype.F32, Shape: []int{m.rank, k}, Data: func() ([]byte, error) {
				err := m.combine(module)
				return dtype.Bytes(m.a), err
			}},
			safetensors.Source{Name: lora.NameB(module), DType: dtype.F32, Shape: []int{n, m.rank}, Data: func() ([]byte, error) {
				err := m.combine(module)
				return dtype.Bytes(m.b), err
			}})
	}
	return nil
}

// combine computes A and B of a module.
func (m *combiner) combine(module string) error {
	if err := m.ctx.Err(); err != nil || m.module == module {
		return err
	}
	n, k := m.modules[module][0], m.modules[module][1]
	var as, bs []*mat.Dense // of the parts that have the module
	var factors []float64
	for _, p := range m.parts {
		if !p.f.Has(lora.NameA(module)) {
			continue
		}
		scale, r := p.cfg.Scale(module)
		a, err := p.read(lora.NameA(module), r, k)
		if err != nil {
			return err
		}
		b, err := p.read(lora.NameB(module), n, r)
		if err != nil {
			return err
		}
		as, bs, factors = append(as, a), append(bs, b), append(factors, p.weight*float64(scale))
	}
	var a, b *mat.Dense
	var err error
	switch m.c.Method {
	case Linear:
		a, b = sums(as, bs, factors)
	case Cat:
		a, b = stacked(as, bs, factors, m.rank)
	default:
		a, b = stacked(as, bs, factors, 0)
		a, b, err = truncated(a, b, m.rank)
	}
	if err != nil {
		return badinput.Errorf("merge: %s: %w", module, err)
	}
	m.module, m.a, m.b = module, lowrank.Values(a), lowrank.Values(b)
	return nil
}

// sums returns Σ √|f|·A and Σ ±√|f|·B, as peft's linear combination does. There the sign of a
// negative factor is that of A and of B, so that it cancels; here it is that of B alone.
func sums(as, bs []*mat.Dense, factors []float64) (a, b *mat.Dense) {
	for i, f := range factors {
		root := math.Sqrt(math.Abs(f))
		as[i].Scale(root, as[i])
		bs[i].Scale(math.Copysign(root, f), bs[i])
		if i > 0 {
			as[0].Add(as[0], as[i])
			bs[0].Add(bs[0], bs[i])
		}
	}
	return as[0], bs[0]
}

// stacked returns f·A one below the other, and B side by side, with zeros up to a rank.
func stacked(as, bs []*mat.Dense, factors []float64, rank int) (a, b *mat.Dense) {
	total := 0
	for _, x := range as {
		r, _ := x.Dims()
		total += r
	}
	total = max(total, rank)
	n, _ := bs[0].Dims()
	_, k := as[0].Dims()
	a, b = mat.NewDense(total, k, nil), mat.NewDense(n, total, nil)
	at := 0
	for i, f := range factors {
		r, _ := as[i].Dims()
		as[i].Scale(f, as[i])
		a.Slice(at, at+r, 0, k).(*mat.Dense).Copy(as[i])
		b.Slice(0, n, at, at+r).(*mat.Dense).Copy(bs[i])
		at += r
	}
	return a, b
}

// truncated returns the best approximation of b·a with a rank: A has the right singular
// vectors, and B the left ones times the values, as in peft.
func truncated(a, b *mat.Dense, rank int) (ta, tb *mat.Dense, err error) {
	r, k := a.Dims()
	n, _ := b.Dims()
	s, err := lowrank.DecomposeProduct(b, a, min(rank, r, n, k))
	if err != nil {
		return nil, nil, err
	}
	if rank == len(s.S) {
		return s.V, s.Scaled(), nil
	}
	// The product has no more.
	ta, tb = mat.NewDense(rank, k, nil), mat.NewDense(n, rank, nil)
	ta.Copy(s.V)
	tb.Copy(s.Scaled())
	return ta, tb, nil
}

// read returns a tensor [rows,cols] of an adapter.
func (p *adapterPart) read(name string, rows, cols int) (*mat.Dense, error) {
	x, err := p.f.Matrix(name, rows, cols)
	if err != nil {
		return nil, err
	}
	values, err := dtype.Float32s(x.DType, x.Bytes)
	if err != nil {
		return nil, badinput.Errorf("merge: adapter %s: tensor %s: %w", p.dir, name, err)
	}
	for i, v := range values {
		if v-v != 0 {
			return nil, badinput.Errorf("merge: adapter %s: tensor %s: the value at row %d, column %d is %g, expected a finite number",
				p.dir, name, i/cols, i%cols, v)
		}
	}
	return lowrank.From(rows, cols, values), nil
}

func (m *combiner) bytes() (n int64) {
	for _, s := range m.sources {
		n += int64(s.Size())
	}
	return n
}

// write implements job.
func (m *combiner) write(dir string, done func(int64)) error {
	sources := slices.Clone(m.sources)
	for i, s := range sources {
		sources[i].Data = func() ([]byte, error) {
			data, err := s.Data()
			done(int64(len(data)))
			return data, err
		}
	}
	if err := safetensors.WriteSources(filepath.Join(dir, lora.WeightsFile), sources, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	data, err := m.config().File()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, lora.ConfigFile), data)
}

// config returns the configuration of the result. Its targets are those of the parts if all
// are lists for all layers, and otherwise the paths of the modules.
func (m *combiner) config() lora.Config {
	first := m.parts[0].cfg
	c := lora.Config{TaskType: first.TaskType, BaseModel: first.BaseModel, Rank: m.rank, Alpha: float64(m.rank)}
	names := map[string]bool{}
	for _, p := range m.parts {
		if p.cfg.Targets.Pattern != "" || p.cfg.Exclude != nil || len(p.cfg.LayersToTransform) > 0 {
			c.Targets.List = slices.Sorted(maps.Keys(m.modules))
			return c
		}
		for _, name := range p.cfg.Targets.List {
			names[name] = true
		}
	}
	c.Targets.List = slices.Sorted(maps.Keys(names))
	return c
}

// unchanged implements job.
func (m *combiner) unchanged() error {
	for _, p := range m.parts {
		if err := p.f.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

func (m *combiner) close() {
	var errs []error
	for _, p := range m.parts {
		errs = append(errs, p.f.Close())
	}
	_ = errors.Join(errs...) // they were only read
}
