package backend

import (
	"context"
	"errors"

	"barka/internal/checkpoint"
	"barka/internal/eval"
	"barka/internal/eval/lighteval"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/score"
	"barka/internal/tensor"
)

// UnloadedModel is an eval.Model that reads its weights with the first request for
// scores. A dry run needs only its tokenizer, config.json and the shapes of its
// tensors.
type UnloadedModel struct {
	templater
	// NoPrefixSharing and Longest are those of EvalModel.
	NoPrefixSharing bool
	Longest         int

	name    string
	device  tensor.Device
	adapter int64 // bytes
	shape   *model.Shape
	tok     evalTokenizer
	open    func() (*EvalModel, error)
	opened  *EvalModel // or nil
}

// UnloadedModel returns a model without reading its weights.
func (e *Engine) UnloadedModel(name, adapter string) (*UnloadedModel, error) {
	l, err := e.Outline(name, false)
	if err != nil {
		return nil, err
	}
	tok, err := newEvalTokenizer("model "+l.Dir, l.Tokenizer)
	if err != nil {
		return nil, err
	}
	p := &UnloadedModel{name: name, device: e.Device, shape: l.Shape, tok: tok, open: func() (*EvalModel, error) {
		d, err := e.OpenDecoder(name, adapter)
		if err != nil {
			return nil, err
		}
		m, err := d.EvalModel()
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		return m, nil
	}}
	p.templater = newTemplater(l.Tokenizer)
	if adapter == "" {
		return p, nil
	}
	dir, err := hub.ResolveAdapter(adapter)
	if err != nil {
		return nil, err
	}
	if err := l.CheckAdapter(dir); err != nil {
		return nil, err
	}
	p.adapter, err = adapterBytes(dir)
	return p, err
}

// adapterBytes returns the size of an adapter's tensors.
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
func (p *UnloadedModel) Name() string { return lighteval.ModelName(p.name) }

// Info implements eval.Model. It is empty, because no scores are stored under it.
func (p *UnloadedModel) Info() eval.ModelInfo { return eval.ModelInfo{} }

// MaxLength implements eval.Model.
func (p *UnloadedModel) MaxLength() int { return maxLength(p.Longest, p.shape.MaxPositions) }

// Tokenizer implements eval.Model.
func (p *UnloadedModel) Tokenizer() eval.Tokenizer { return p.tok }

// ScoreOptions implements eval.Planner.
func (p *UnloadedModel) ScoreOptions() score.Options {
	return score.Options{MaxLength: p.MaxLength(), NoPrefixSharing: p.NoPrefixSharing,
		MaxBatchTokens: model.PassTokens(p.device, p.shape.Info, 0)}.Default(p.shape.Info, p.shape.RowBytes())
}

// Score implements eval.Model. It opens the model.
func (p *UnloadedModel) Score(ctx context.Context, reqs []eval.Request, done func(i int, s eval.Score) error) error {
	if p.opened == nil {
		m, err := p.open()
		if err != nil {
			return err
		}
		m.NoPrefixSharing, m.Longest = p.NoPrefixSharing, p.Longest
		p.opened = m
	}
	return p.opened.Score(ctx, reqs, done)
}

// Close closes the model if it was opened.
func (p *UnloadedModel) Close() error {
	if p.opened == nil {
		return nil
	}
	return p.opened.Close()
}

// Generate implements eval.Generator: without it, an estimate would skip judged tasks.
func (p *UnloadedModel) Generate(context.Context, []string, int, bool, func(int, string) error) error {
	return errors.New("backend: an estimate generates no answers")
}

// Memory is the memory of an evaluation in bytes, without the program, its
// tokenizer and the prompts.
type Memory struct {
	// Weights is the size of the packed weights and the adapter. Kept is the
	// size of the keys and values that are kept between two passes, and Pass
	// that of the largest pass.
	Weights, Kept, Pass int64
	// Table is the size of the embedding table on disk. The system caches the
	// rows that were read while memory is free.
	Table int64
}

// Memory estimates the memory of an evaluation from the model's shape.
func (p *UnloadedModel) Memory(plan *eval.WorkEstimate) Memory {
	s := p.shape
	return Memory{
		Weights: s.Weights + p.adapter, Kept: s.RowBytes() * int64(plan.Kept),
		Pass: s.PassBytes(plan.LargestPass, plan.Kept, plan.LargestHead), Table: s.Mapped,
	}
}

// DType is the type of the packed weights.
func (p *UnloadedModel) DType() string { return string(p.shape.DType) }
