package recipe

import (
	"fmt"
	"slices"

	"barka/internal/hub"
)

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

func (f *forecast) evaluate(st stage) {
	if f.done(st) {
		return
	}
	p := Planned{Stage: st.name, Out: f.path(st.dir)}
	switch {
	case f.evaluation != nil && f.base != nil:
		f.evaluates(&p)
	case slices.ContainsFunc(f.Downloads, func(p *hub.Plan) bool { return p.Repo.Kind == hub.Dataset }):
		p.Work = "known when the data are downloaded"
	case len(f.Downloads) > 0:
		p.Work = "known when the model is downloaded"
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
