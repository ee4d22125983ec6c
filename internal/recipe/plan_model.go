package recipe

import (
	"barka/internal/backend"
	"barka/internal/dataset"
	"barka/internal/stage/train"
	"fmt"
	"path/filepath"
)

func (f *forecast) train(st stage) {
	if f.done(st) {
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir)}
	if f.base != nil {
		if o, err := f.r.training(); err == nil { // else the checks report it
			f.trains(&p, o)
		}
	}
	f.add(p)
}

func (f *forecast) merge(st stage) {
	if f.done(st) {
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir)}
	if f.base != nil {
		p.Work = fmt.Sprintf("%d parameters", f.base.Parameters)
	}
	f.add(p)
}

// trains sets the effort of the training. It tokenizes the mix if that exists, and
// otherwise uses the forecast.
func (f *forecast) trains(p *Planned, o train.Options) {
	s, a := f.base.Shape, f.amounts[mixed]
	grown := 1 / (1 - o.ReplayShare)
	tokens := int64(grown * float64(a.tokens()))
	d, n, how := &train.Data{Tokens: tokens, Trained: tokens, Longest: o.MaxLength}, int(grown*float64(a.rows)), "about "
	p.Estimated = true
	if exists(filepath.Join(f.path(mixDir), dataset.ManifestName)) {
		in := train.Input{Tokenizer: f.base.Tokenizer, Train: []train.Source{{Path: f.path(mixDir)}}, Replay: f.r.path(f.r.Inputs.Replay)}
		data, err := train.Read(f.ctx, o, in, train.Limits{Vocab: s.Vocab, Positions: s.MaxPositions})
		if err != nil {
			f.Problems = append(f.Problems, Problem{Line: f.r.doc.line("train"), Key: "train", Text: "train: " + err.Error()})
			return
		}
		defer data.Close()
		d, n, how, p.Estimated = data, data.PerEpoch(), "", false
	}
	engine, base := f.w.Engine.As(o.DType), f.r.model(f.r.Models.Base)
	if o.DType, _ = engine.TypeOf(base); n == 0 {
		return
	}
	e, err := train.Forecast(o, engine.Measure(base), n, d, f.r.Seed, backend.MemoryLimit())
	if err != nil {
		return
	}
	p.Rows, p.Tokens, p.FLOP, p.Memory = int64(n), e.Tokens, e.FLOP, e.Memory
	p.DType = o.DType
	p.Work = fmt.Sprintf("%s%d conversations, %d tokens in all epochs, %d steps, %d trainable parameters", how, n, e.Tokens,
		e.Steps, e.Parameters)
}

func (f *forecast) evaluate(st stage) {
	if f.done(st) {
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir)}
	if f.evaluation != nil && f.base != nil {
		f.evaluates(&p)
	}
	f.add(p)
}

func (f *forecast) report(st stage) { f.add(Planned{Stage: st.name, Out: f.path(st.dir)}) }

func (f *forecast) evaluates(p *Planned) {
	var questions, requests int
	for _, t := range f.evaluation.Tasks {
		questions, requests, p.Tokens = questions+t.Questions, requests+t.Requests, p.Tokens+t.Run
	}
	p.Rows = int64(questions)
	p.DType, _ = f.w.Engine.TypeOf(f.r.model(f.r.Models.Base))
	p.FLOP = 2 * float64(f.base.Parameters) * float64(p.Tokens)
	need := f.needs
	p.Memory = need.Weights + need.Kept + need.Pass
	p.Work = fmt.Sprintf("%d tasks, %d questions, %d requests, %d tokens to run", len(f.evaluation.Tasks), questions, requests, p.Tokens)
}
