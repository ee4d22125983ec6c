package main

import (
	"cmp"
	"fmt"
	"time"

	"barka/internal/backend"
	"barka/internal/dtype"
	"barka/internal/lines"
	"barka/internal/recipe"
	"barka/internal/stage/merge"
)

type mergeCmd struct {
	Model   []string `sep:"none" help:"Base model: directory, GGUF file or hub id. Several are combined." placeholder:"MODEL"`
	Adapter []string `sep:"none" help:"Adapter: directory or hub id. Several are combined to an adapter." placeholder:"ADAPTER"`
	Out     string   `required:"" help:"Directory of the merged model or the combined adapter." placeholder:"DIR"`

	Method  string    `help:"Combination of models (linear, slerp, ties) or adapters (linear, cat, svd)." placeholder:"METHOD"`
	Weights []float64 `help:"Weights of the models or adapters, in their order; default: 1 each." placeholder:"W"`
	Base    string    `help:"Model whose changes ties combines." placeholder:"MODEL"`
	Density float64   `help:"Share of the changes that ties keeps of each tensor; default: 0.2." placeholder:"SHARE"`
	Scale   float64   `help:"Factor of the combined changes of ties; default: 1." placeholder:"FACTOR"`
	Rank    int       `help:"Rank of the adapter by svd; default: the largest of the adapters." placeholder:"RANK"`

	Verify        bool    `help:"Compare the merged model with base and adapter, and refuse it if it differs too much."`
	VerifyPrompts string  `help:"With --verify: texts to compare on, one per line or JSON lines." placeholder:"FILE"`
	VerifyBound   float64 `help:"With --verify: largest difference of a log-probability; 0 is the stored type's." default:"0"`
}

func (mergeCmd) Help() string {
	return `Adds the adapter to the weights in float32 and rounds once to their stored type. The quantised
weights of a GGUF file become bfloat16.

With --verify, the tokens of some texts are scored by the base model with the adapter, and by the
merged model, both in float32. The largest and the mean difference between their natural
log-probabilities are shown, beside the change by the adapter. If the largest is above the bound, the
exit code is 1 and nothing is written. Without --verify-prompts, 16 built-in English and Arabic texts
are used. The comparison needs the memory of the model in float32. ` + fmt.Sprintf(`The default bounds
are %g for weights stored as float32, %g for float16 and %g for bfloat16.

Example:

  barka merge --model google/gemma-2-2b-it --adapter runs/adapter --out runs/merged --verify

With --method, several models become one model, or several adapters one adapter:

  barka merge --model A --model B --method linear --weights 0.7,0.3 --out DIR   weighted mean
  barka merge --model A --model B --method slerp --weights 0.7,0.3 --out DIR    on the arc from A to B
  barka merge --model A --model B --method ties --base BASE --out DIR           largest changes of BASE
  barka merge --adapter A --adapter B --method linear --out DIR                 sums of A and of B
  barka merge --adapter A --adapter B --method cat --out DIR                    exact sum, sum of the ranks
  barka merge --adapter A --adapter B --method svd --rank 16 --out DIR          nearest sum with a rank`,
		backend.VerifyBounds[dtype.F32], backend.VerifyBounds[dtype.F16], backend.VerifyBounds[dtype.BF16])
}

func (c *mergeCmd) Run(a *app) error {
	if c.Method != "" {
		return c.combine(a)
	}
	if err := c.checkPlain(); err != nil {
		return err
	}
	if err := a.ensure(weights(c.Model[0]), adapter(c.Adapter[0])); err != nil {
		return err
	}
	v, err := c.verification(a)
	if err != nil {
		return err
	}
	found, err := a.engine("f32").Merge(a.ctx, c.Model[0], c.Adapter[0], c.Out, v, a.ui.Progress())
	if err != nil {
		return err
	}
	a.finished(recipe.Step{Stage: "merge", Out: c.Out, Seconds: time.Since(a.start).Seconds()})
	if found == nil {
		return a.ui.Print("merged model in "+c.Out, map[string]string{"out": c.Out})
	}
	if found.Blind() {
		a.ui.Warnf("the adapter changes no log-probability by more than the bound, so that a merge without it would have passed; " +
			"lower --verify-bound, or give texts that it was trained for")
	}
	return a.ui.Print(fmt.Sprintf("verified on %s\nmerged model in %s", found, c.Out), struct {
		Out      string            `json:"out"`
		Verified *backend.Verified `json:"verified"`
	}{c.Out, found})
}

// checkPlain checks the flags of a merge of an adapter into a model.
func (c *mergeCmd) checkPlain() error {
	switch {
	case len(c.Model) > 1 || len(c.Model) == 0 && len(c.Adapter) > 1:
		return usagef("merge: several models or adapters need --method")
	case len(c.Adapter) > 1:
		return usagef("merge: %d adapters: combine them first, without --model and with --method, and merge the result", len(c.Adapter))
	case len(c.Model) == 0 || len(c.Adapter) == 0:
		return usagef("merge: expected --model and --adapter, or --method with several of one")
	case len(c.Weights) > 0 || c.Base != "" || c.Density != 0 || c.Scale != 0 || c.Rank != 0:
		return usagef("merge: --weights, --base, --density, --scale and --rank need --method")
	}
	return nil
}

// combine makes one model of several, or one adapter.
func (c *mergeCmd) combine(a *app) error {
	if len(c.Model) > 0 && len(c.Adapter) > 0 {
		return usagef("merge: --method combines models or adapters, not both; combine the adapters, and merge the result into the model")
	}
	if c.Verify || c.VerifyPrompts != "" || c.VerifyBound != 0 {
		return usagef("merge: --verify compares a model with base and adapter; it does not go with --method")
	}
	m, names, needed := merge.Combination{Method: c.Method, Rank: c.Rank, Density: c.Density, Scale: c.Scale}, c.Adapter, adapter
	if len(c.Model) > 0 {
		names, needed = c.Model, weights
	}
	if len(c.Weights) > 0 && len(c.Weights) != len(names) {
		return usagef("merge: %d weights for %d models or adapters", len(c.Weights), len(names))
	}
	var files []modelFiles
	for i, name := range names {
		p := merge.Part{Dir: name, Weight: 1}
		if len(c.Weights) > 0 {
			p.Weight = c.Weights[i]
		}
		m.Parts, files = append(m.Parts, p), append(files, needed(name))
	}
	if c.Base != "" {
		m.Base = &merge.Part{Dir: c.Base}
		files = append(files, weights(c.Base))
	}
	if c.Method == merge.TIES {
		m.Density, m.Scale = cmp.Or(c.Density, 0.2), cmp.Or(c.Scale, 1)
	}
	if err := m.Check(len(c.Adapter) > 0); err != nil {
		return err
	}
	if err := a.ensure(files...); err != nil {
		return err
	}
	what, run := "model", a.engine("f32").CombineModels
	if len(c.Adapter) > 0 {
		what, run = "adapter", a.engine("f32").CombineAdapters
	}
	if err := run(a.ctx, m, c.Out, a.ui.Progress()); err != nil {
		return err
	}
	a.finished(recipe.Step{Stage: "merge", Out: c.Out, Seconds: time.Since(a.start).Seconds()})
	return a.ui.Print("combined "+what+" in "+c.Out, map[string]string{"out": c.Out})
}

// verification returns the comparison that the flags ask for, or nil.
func (c *mergeCmd) verification(a *app) (*backend.Verification, error) {
	if !c.Verify {
		if c.VerifyPrompts != "" || c.VerifyBound != 0 {
			return nil, usagef("merge: --verify-prompts and --verify-bound need --verify")
		}
		return nil, nil
	}
	v := &backend.Verification{Bound: c.VerifyBound}
	if c.VerifyPrompts == "" {
		return v, nil
	}
	v.Texts = []string{}
	return v, a.prompts(c.VerifyPrompts, func(line lines.Line, p *promptLine) error {
		if p.Prompt == nil {
			return line.Errorf("expected prompt, a string; messages depend on a chat template")
		}
		v.Texts = append(v.Texts, *p.Prompt)
		return nil
	})
}
