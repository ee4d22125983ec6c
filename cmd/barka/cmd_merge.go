package main

import (
	"time"

	"barka/internal/recipe"
)

type mergeCmd struct {
	Model   string `required:"" help:"Base model: directory or hub id." placeholder:"MODEL"`
	Adapter string `required:"" help:"Adapter: directory or hub id." placeholder:"ADAPTER"`
	Out     string `required:"" help:"Directory of the merged model." placeholder:"DIR"`
}

func (mergeCmd) Help() string {
	return `Adds the adapter to the weights in float32 and rounds once to their stored type.

Example:

  barka merge --model google/gemma-2-2b-it --adapter runs/adapter --out runs/merged`
}

func (c *mergeCmd) Run(a *app) error {
	if err := a.ensure(weights(c.Model), adapter(c.Adapter)); err != nil {
		return err
	}
	if err := a.engine("f32").Merge(a.ctx, c.Model, c.Adapter, c.Out, a.ui.Progress()); err != nil {
		return err
	}
	a.finished(recipe.Step{Stage: "merge", Out: c.Out, Seconds: time.Since(a.start).Seconds()})
	return a.ui.Print("merged model in "+c.Out, map[string]string{"out": c.Out})
}
