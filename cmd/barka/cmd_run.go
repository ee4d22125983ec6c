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
	Retry   bool   `name:"retry-rejected" help:"Have synth ask again about passages whose requests failed."`
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
	return a.runRecipe(r, c.Out, c.Restart, c.Retry)
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
func (a *app) runRecipe(r *recipe.Recipe, out string, restart, retry bool) error {
	for _, model := range r.LocalModels() {
		if err := a.need(weights(model)); err != nil {
			return err
		}
	}
	start := time.Now()
	var steps []recipe.Step
	w := &recipe.Runner{Out: out, Engine: a.engine(r.DType), Workers: a.workers(), Restart: restart, Retry: retry, Progress: a.ui.Progress(), Log: a.log(), Say: func(s recipe.Step) {
		steps = append(steps, s)
		a.tell(s)
	}}
	if err := w.Run(a.ctx, r); err != nil {
		return err
	}
	return a.summary(r, out, steps, time.Since(start))
}

// tell reports a finished stage.
func (a *app) tell(s recipe.Step) {
	a.ui.Event("stage", fmt.Sprintf("%-11s %s → %s (%s)", s.Stage, s.Text(), s.Out, seconds(s.Seconds)), s)
	if s.Made != nil {
		a.warn(s.Stage, s.Made.Notes)
	}
}

// finished reports a stage that was run by itself, whose result says the rest
// in words.
func (a *app) finished(s recipe.Step) {
	if a.JSON {
		a.ui.Event("stage", "", s)
	}
}

func seconds(s float64) string { return ui.Duration(time.Duration(s * float64(time.Second))) }

// summary lists what a run made.
func (a *app) summary(r *recipe.Recipe, out string, steps []recipe.Step, took time.Duration) error {
	if a.JSON {
		for _, s := range steps {
			// The three columns of the table, beside the numbers.
			row := struct {
				recipe.Step
				Text  string `json:"made"`
				Where string `json:"where"`
			}{s, s.Text(), s.Out}
			if err := a.ui.Print("", row); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]any, len(steps))
	for i, s := range steps {
		rows[i] = []any{s.Stage, s.Text(), s.Out}
	}
	if err := a.ui.Table([]string{"stage", "made", "where"}, rows); err != nil {
		return err
	}
	a.ui.Infof("%s finished in %s; look at %s", r.Name, ui.Duration(took), filepath.Join(out, "report.html"))
	return nil
}

type demoCmd struct {
	Out     string `help:"Working directory." default:"runs/demo"`
	Restart bool   `help:"Throw away what an earlier run made with other options."`
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
	return a.runRecipe(r, c.Out, c.Restart, false)
}
