package local

import (
	"context"
	"errors"

	"barka/internal/checkpoint"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tokenizer"
)

// Planned is an eval.Model of which the tokenizer, config.json and the shapes
// of the tensors alone are read, until it is asked for scores.
type Planned struct {
	templater
	// NoPrefixSharing and Longest are Evaluated's.
	NoPrefixSharing bool
	Longest         int

	name    string
	adapter int64 // bytes
	shape   *model.Shape
	tok     *tokenizer.Tokenizer
	open    func() (*Evaluated, error)
}

// Plan reads what an evaluation of a model can be planned by.
func (e *Engine) Plan(name, adapter string) (*Planned, error) {
	l, err := e.Look(name, false)
	if err != nil {
		return nil, err
	}
	if err := l.Evaluates(); err != nil {
		return nil, err
	}
	p := &Planned{name: name, shape: l.Shape, tok: l.Tokenizer, open: func() (*Evaluated, error) {
		d, err := e.OpenDecoder(name, adapter)
		if err != nil {
			return nil, err
		}
		return d.Evaluated()
	}}
	p.templater = newTemplater(p.tok)
	if adapter == "" {
		return p, nil
	}
	dir, err := hub.ResolveAdapter(adapter)
	if err != nil {
		return nil, err
	}
	if err := l.Wears(dir); err != nil {
		return nil, err
	}
	p.adapter, err = adapterBytes(dir)
	return p, err
}

// adapterBytes is what an adapter's tensors take.
func adapterBytes(name string) (int64, error) {
	dir, err := hub.ResolveAdapter(name)
	if err != nil {
		return 0, err
	}
	f, err := checkpoint.OpenAdapter(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Bytes(), nil
}

// Name implements eval.Model.
func (p *Planned) Name() string { return lighteval.ModelName(p.name) }

// Info implements eval.Model. Nothing is scored by its digest.
func (p *Planned) Info() eval.ModelInfo { return eval.ModelInfo{} }

// MaxLength implements eval.Model.
func (p *Planned) MaxLength() int { return longest(p.Longest, p.shape.Info) }

// Tokenizer implements eval.Model.
func (p *Planned) Tokenizer() eval.Tokenizer { return evalTokenizer{p.tok} }

// ScoreOptions implements eval.Planner.
func (p *Planned) ScoreOptions() score.Options {
	return score.Options{MaxLength: p.MaxLength(), NoPrefixSharing: p.NoPrefixSharing}.Default(p.shape.Info, p.shape.RowBytes())
}

// Score implements eval.Model. It opens the model.
func (p *Planned) Score(ctx context.Context, reqs []eval.Request, done func(i int, s eval.Score) error) error {
	m, err := p.open()
	if err != nil {
		return err
	}
	p.open = func() (*Evaluated, error) { return m, nil }
	m.NoPrefixSharing, m.Longest = p.NoPrefixSharing, p.Longest
	return m.Score(ctx, reqs, done)
}

// Generate implements eval.Generator, by which judged tasks are planned.
func (p *Planned) Generate(context.Context, []string, int, bool, func(int, string) error) error {
	return errors.New("a plan writes no answers")
}

// Memory is what an evaluation takes beside the program, its tokenizer and the
// prompts, in bytes.
type Memory struct {
	// Weights are packed, an adapter's with them; Kept is what stays of keys and
	// values from one pass for the next, and Pass the largest pass.
	Weights, Kept, Pass int64
	// Table is the embedding on disk, of which the system keeps in memory what
	// was looked up, as long as nothing else wants it.
	Table int64
}

// Memory estimates by the model's shape.
func (p *Planned) Memory(plan *eval.WorkEstimate) Memory {
	s := p.shape
	return Memory{Weights: s.Weights + p.adapter, Kept: s.RowBytes() * int64(plan.Kept), Pass: s.PassBytes(plan.LargestPass, plan.Kept, plan.LargestHead), Table: s.Mapped}
}

// DType is the type of the packed weights.
func (p *Planned) DType() string { return string(p.shape.DType) }
