package merge

import (
	"context"
	"slices"

	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dtype"
	"barka/internal/progress"
	"barka/internal/safetensors"
)

// Models writes the combination of several models of one architecture as a model. Weights are
// normalised to a sum of 1. Each tensor is read in blocks, computed in float32, and rounded
// once to its type in the first model, whose other files are copied. Memory is that of one
// written tensor.
func Models(ctx context.Context, c *Combination, out string, id Origin, reporter progress.Reporter) error {
	if err := c.Check(false); err != nil {
		return err
	}
	id.Combination = c
	return place(out, c.inputs("model"), id, reporter, func() (job, error) { return openMixer(ctx, c) })
}

// mixer combines models.
type mixer struct {
	ctx     context.Context
	c       *Combination
	parts   []mixed
	base    *mixed // of TIES, or nil
	sources []safetensors.Source
}

// mixed is one of the models.
type mixed struct {
	dir    string
	f      checkpoint.File
	weight float64 // of a sum of 1
}

func openMixer(ctx context.Context, c *Combination) (job, error) {
	m := &mixer{ctx: ctx, c: c}
	var sum float64
	for _, p := range c.Parts {
		sum += p.Weight
	}
	err := func() error {
		for _, p := range c.Parts {
			f, err := checkpoint.Open(p.Dir)
			if err != nil {
				return err
			}
			m.parts = append(m.parts, mixed{p.Dir, f, p.Weight / sum})
		}
		if c.Base != nil {
			f, err := checkpoint.Open(c.Base.Dir)
			if err != nil {
				return err
			}
			m.base = &mixed{c.Base.Dir, f, 0}
		}
		return m.list()
	}()
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// all returns the models, and the base if there is one.
func (m *mixer) all() []mixed {
	if m.base == nil {
		return m.parts
	}
	return append(slices.Clone(m.parts), *m.base)
}

// list makes the list of the result's tensors. Every model must have each of them in the same
// shape, and no others.
func (m *mixer) list() error {
	first := m.parts[0]
	separate, err := untied(first.dir)
	if err != nil {
		return err
	}
	for _, other := range m.all()[1:] {
		if err := other.within(first); err != nil {
			return err
		}
	}
	for _, name := range first.f.Names() {
		again, err := repeats(first.f, name, separate)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		dt, shape, _ := first.f.Info(name)
		for _, other := range m.all()[1:] {
			if err := other.check(name, shape, first.dir); err != nil {
				return err
			}
		}
		s := safetensors.Source{Name: name, DType: written(dt), Shape: shape}
		s.Data = func() ([]byte, error) { return m.combine(name, s.DType) }
		m.sources = append(m.sources, s)
	}
	return nil
}

// within returns an error if a model has a tensor that the first one has not.
func (x mixed) within(first mixed) error {
	separate, err := untied(x.dir)
	if err != nil {
		return err
	}
	for _, name := range x.f.Names() {
		if first.f.Has(name) {
			continue
		}
		again, err := repeats(x.f, name, separate)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		return badinput.Errorf("merge: model %s has a tensor %s, and model %s has none; models of one architecture can be combined, with "+
			"heads that are tied in all or in none", x.dir, name, first.dir)
	}
	return nil
}

// check returns an error if a model lacks a tensor of the first one, or has another shape.
func (x mixed) check(name string, shape []int, first string) error {
	_, is, ok := x.f.Info(name)
	switch {
	case !ok:
		return badinput.Errorf("merge: model %s has no tensor %s, which model %s has; models of one architecture can be combined", x.dir,
			name, first)
	case !slices.Equal(is, shape):
		hint := "models of one size can be combined"
		if len(is) == 2 && len(shape) == 2 && is[0] != shape[0] && is[1] == shape[1] {
			hint = "if it is the embedding or the head, the models have other vocabularies"
		}
		return badinput.Errorf("merge: tensor %s has shape %v in model %s and %v in model %s; %s", name, is, x.dir, shape, first, hint)
	}
	return nil
}

// combine returns a tensor of the result.
func (m *mixer) combine(name string, as dtype.DType) ([]byte, error) {
	if err := m.ctx.Err(); err != nil {
		return nil, err
	}
	t, err := m.operands(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, x := range m.all() {
			x.f.Release(name)
		}
	}()
	if !t.parts[0].t.DType.Float() { // a buffer of integers
		return t.parts[0].t.Data, t.same()
	}
	var f blockwise
	switch m.c.Method {
	case Linear:
		f = t.linear
	case Slerp:
		f = t.slerp()
	default:
		f = t.ties(m.c.Density, m.c.Scale)
	}
	out := make([]byte, 0, as.Bytes(t.n))
	sum := make([]float32, block)
	for lo := 0; lo < t.n; lo += block {
		hi := min(lo+block, t.n)
		f(sum[:hi-lo], lo, hi)
		for i, v := range sum[:hi-lo] {
			if v-v != 0 {
				return nil, badinput.Errorf("merge: tensor %s: value %d is %g after the combination; are all models finite?", name, lo+i, v)
			}
		}
		out = append(out, dtype.Narrow(as, sum[:hi-lo])...)
	}
	return out, nil
}

// operands reads a tensor of all models.
func (m *mixer) operands(name string) (*operands, error) {
	o := &operands{}
	for _, x := range m.all() {
		t, err := x.f.Tensor(name)
		if err != nil {
			return nil, err
		}
		o.parts = append(o.parts, operand{t, x.weight, x.dir, make([]float32, block)})
	}
	if m.base != nil {
		last := len(o.parts) - 1
		o.base, o.parts = &o.parts[last], o.parts[:last]
	}
	o.n = 1
	for _, d := range o.parts[0].t.Shape {
		o.n *= d
	}
	return o, nil
}

func (m *mixer) bytes() (n int64) {
	for _, s := range m.sources {
		n += int64(s.Size())
	}
	return n
}

// write implements job.
func (m *mixer) write(dir string, done func(int64)) error {
	if err := safetensors.WriteModel(dir, m.sources, map[string]string{"format": "pt"}, maxShard, done); err != nil {
		return err
	}
	return copyOthers(m.parts[0].dir, dir)
}

// unchanged implements job.
func (m *mixer) unchanged() error {
	for _, x := range m.all() {
		if err := x.f.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

func (m *mixer) close() {
	for _, x := range m.all() {
		_ = x.f.Close() // it was only read
	}
}
