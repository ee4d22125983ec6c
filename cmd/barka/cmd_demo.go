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
	return `Needs no network, no Python and no GPU. An interrupted run is resumed by the same command.

Example: barka demo`
}

func (c *demoCmd) Run(a *app) error {
	extract := demo.Extract
	if c.Restart {
		extract = demo.Replace
	}
	path, err := extract(filepath.Join(c.Out, "inputs"))
	if err != nil {
		return err
	}
	a.ui.Infof("The models of this demonstration are tiny and were trained for minutes: it shows how the stages work " +
		"together, not what quality they reach.")
	r, err := recipe.Open(path)
	if err != nil {
		return err
	}
	return a.runRecipe(r, c.Out, c.Restart, false, translationmemory.Off)
}
