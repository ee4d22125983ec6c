package main

import (
	"path/filepath"

	"barka/internal/demo"
	"barka/internal/recipe"
	"barka/internal/translationmemory"
)

type demoCmd struct {
	Out     string `help:"Working directory." default:"runs/demo"`
	Restart bool   `help:"Discard what an earlier run made with other options."`
}

func (demoCmd) Help() string {
	return `Needs no network, no Python and no GPU. Three models that were trained from scratch for minutes write
questions about articles that they have not seen, translate them, and learn from them. The end is a
table that compares the model before and after. An interrupted run is resumed by the same command.

Example: barka demo`
}

func (c *demoCmd) Run(a *app) error {
	extract := demo.Extract
	if c.Restart {
		extract = demo.Replace
	}
	path, err := extract(filepath.Join(c.Out, "inputs"), a.Seed)
	if err != nil {
		return err
	}
	a.ui.Infof("Everything here is about an invented country, and its models are tiny: the demonstration shows how the stages " +
		"work together.")
	r, err := recipe.Open(path)
	if err != nil {
		return err
	}
	if err := a.runRecipe(r, c.Out, translationmemory.Off, func(w *recipe.Runner) { w.Restart = c.Restart }); err != nil {
		return err
	}
	return c.conclude(a)
}

// conclude compares the evaluations of base and tuned model, and says what they do not show.
func (c *demoCmd) conclude(a *app) error {
	a.ui.Infof("A is the student before training, which knows no Arabic; B is the student trained on the mix.")
	compared := compareCmd{A: filepath.Join(c.Out, recipe.BaseEvalDir), B: filepath.Join(c.Out, recipe.TunedEvalDir), Resamples: 10000}
	if err := compared.Run(a); err != nil {
		return err
	}
	a.ui.Infof("These toys know fewer than 300 words of two languages and the sentences of one invented country. They write, translate " +
		"and answer nothing else, and the points gained are not those of a real model.")
	a.ui.Infof("The same with a real model and Wikipedia: barka init recipe.yaml && barka run recipe.yaml")
	return nil
}
