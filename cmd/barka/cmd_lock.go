package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
	"barka/internal/recipe"
	"barka/internal/reproduce"
)

type lockCmd struct {
	Directory string `arg:"" name:"run" help:"Directory of a finished run."`
	Out       string `help:"Lock file to write; default: RUN.lock.json." placeholder:"FILE"`
}

func (lockCmd) Help() string {
	return `Writes one file about a finished run of barka run or barka demo: the recipe, the digests of
everything that it read (models, data, prompts, benchmarks with their commits) and of everything that
it made, and losses and scores. barka reproduce runs it again and compares; docs/reproduce.md
describes the file.

Example: barka lock runs/quickstart --out quickstart.lock.json`
}

func (c *lockCmd) Run(a *app) error {
	ran, err := recipe.ReadRun(c.Directory)
	if err != nil {
		return err
	}
	r, err := recipe.OpenText(ran.Recipe, ran.Path)
	if err != nil {
		return err
	}
	w, err := a.runner(r, c.Directory)
	if err != nil {
		return err
	}
	l, err := reproduce.Of(a.ctx, w)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = strings.TrimRight(filepath.Clean(c.Directory), string(filepath.Separator)) + ".lock.json"
	}
	if err := l.Write(c.Out); err != nil {
		return badinput.Wrap(err)
	}
	return a.ui.Print(fmt.Sprintf("%s: %d inputs and %d outputs, made on %s by barka %s\nrepeat it with: barka reproduce %s", c.Out,
		len(l.Inputs), len(l.Results), strings.Join(l.Machines, ", "), l.Barka, c.Out),
		map[string]any{"lock": c.Out, "inputs": len(l.Inputs), "outputs": len(l.Results), "machines": l.Machines})
}
