package main

import (
	"fmt"
	"path/filepath"
	"time"

	"barka/internal/demo"
	"barka/internal/recipe"
	"barka/internal/ui"
)

type runCmd struct {
	Recipe  string `arg:"" help:"Recipe file." type:"existingfile"`
	Out     string `help:"Working directory; runs/NAME by default." placeholder:"DIR"`
	Restart bool   `help:"Throw away stages made with other options."`
	DryRun  bool   `help:"Check the recipe and say what would run, and how much."`
}

func (runCmd) Help() string {
	return `Runs wiki, synth, convert, translate, filter, mix, train, merge, eval and report, as far as the recipe has them. Stop it at any moment; the same command goes on.

Example: barka run recipes/quickstart.yaml`
}

func (c *runCmd) Run(a *app) error {
	r, err := recipe.Load(c.Recipe)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = filepath.Join("runs", r.Name)
	}
	if c.DryRun {
		return a.planRecipe(r, c.Out)
	}
	return a.runRecipe(r, c.Out, c.Restart)
}

// planRecipe says what a run would do.
func (a *app) planRecipe(r *recipe.Recipe, out string) error {
	w := &recipe.Runner{Out: out, Engine: a.engine(r.DType)}
	plan, err := w.Plan(a.ctx, r)
	if err != nil {
		return err
	}
	rows := make([][]any, len(plan))
	for i, p := range plan {
		work := p.Work
		if p.Done {
			work = "done"
		}
		rows[i] = []any{p.Stage, work, p.Out}
	}
	return a.ui.Table([]string{"stage", "work", "where"}, rows)
}

// runRecipe runs a recipe and tells of each stage.
func (a *app) runRecipe(r *recipe.Recipe, out string, restart bool) error {
	for _, model := range r.LocalModels() {
		if err := a.need(weights(model)); err != nil {
			return err
		}
	}
	start := time.Now()
	var steps []recipe.Step
	w := &recipe.Runner{Out: out, Engine: a.engine(r.DType), Workers: a.workers(), Restart: restart, Progress: a.ui.Progress(), Log: a.log(), Say: func(s recipe.Step) {
		steps = append(steps, s)
		a.ui.Infof("%s", stepText(s))
	}}
	if err := w.Run(a.ctx, r); err != nil {
		return err
	}
	return a.summary(r, out, steps, time.Since(start))
}

func stepText(s recipe.Step) string {
	text := fmt.Sprintf("%-11s", s.Stage)
	if s.Counts != nil {
		text += fmt.Sprintf(" %d rows", s.Rows)
		if rejected := s.Counts["rejected"]; rejected > 0 {
			text += fmt.Sprintf(", %d rejected", rejected)
		}
	}
	if s.Note != "" {
		text += " " + s.Note
	}
	return fmt.Sprintf("%s → %s (%s)", text, s.Out, ui.Duration(s.Took))
}

func (a *app) summary(r *recipe.Recipe, out string, steps []recipe.Step, took time.Duration) error {
	rows := make([][]any, len(steps))
	for i, s := range steps {
		what := s.Note
		if s.Counts != nil {
			what = fmt.Sprintf("%d rows", s.Rows)
			if n := s.Counts["rejected"]; n > 0 {
				what += fmt.Sprintf(", %d rejected", n)
			}
		}
		rows[i] = []any{s.Stage, what, s.Out}
	}
	if err := a.ui.Table([]string{"stage", "made", "where"}, rows); err != nil {
		return err
	}
	a.ui.Infof("%s finished in %s; look at %s", r.Name, ui.Duration(took), filepath.Join(out, "report.html"))
	return nil
}

type demoCmd struct {
	Out     string `help:"Working directory." default:"runs/demo"`
	Restart bool   `help:"Begin anew."`
}

func (demoCmd) Help() string {
	return `Needs no network, no Python and no GPU. Stop it at any moment; the same command goes on.

Example: barka demo`
}

func (c *demoCmd) Run(a *app) error {
	path, err := demo.Extract(filepath.Join(c.Out, "inputs"))
	if err != nil {
		return err
	}
	a.ui.Infof("The models of this demonstration are tiny and were trained for minutes: it shows how everything works together, not how good it gets.")
	r, err := recipe.Load(path)
	if err != nil {
		return err
	}
	return a.runRecipe(r, c.Out, c.Restart)
}
