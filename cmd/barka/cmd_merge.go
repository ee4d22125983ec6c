package main

import (
	"fmt"
	"time"

	"barka/internal/backend"
	"barka/internal/dtype"
	"barka/internal/lines"
	"barka/internal/recipe"
)

type mergeCmd struct {
	Model   string `required:"" help:"Base model: directory, GGUF file or hub id." placeholder:"MODEL"`
	Adapter string `required:"" help:"Adapter: directory or hub id." placeholder:"ADAPTER"`
	Out     string `required:"" help:"Directory of the merged model." placeholder:"DIR"`

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

  barka merge --model google/gemma-2-2b-it --adapter runs/adapter --out runs/merged --verify`,
		backend.VerifyBounds[dtype.F32], backend.VerifyBounds[dtype.F16], backend.VerifyBounds[dtype.BF16])
}

func (c *mergeCmd) Run(a *app) error {
	if err := a.ensure(weights(c.Model), adapter(c.Adapter)); err != nil {
		return err
	}
	v, err := c.verification(a)
	if err != nil {
		return err
	}
	found, err := a.engine("f32").Merge(a.ctx, c.Model, c.Adapter, c.Out, v, a.ui.Progress())
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
