package main

import (
	"fmt"
	"strings"

	"barka/internal/recipe"
	"barka/internal/reproduce"
	"barka/internal/version"
)

type reproduceCmd struct {
	Lock    string `arg:"" help:"Lock file of barka lock."`
	Out     string `help:"Working directory of the new run; default: runs/NAME-reproduced." placeholder:"DIR"`
	Inputs  string `help:"Directory to which the recipe's paths are relative; default: that of the recipe." placeholder:"DIR"`
	Memory  string `help:"Translation memory, as of barka run." default:"off" placeholder:"FILE|off"`
	DryRun  bool   `help:"Download and check the inputs; run nothing."`
	Contact string `help:"Your mail address or page, for the operators of the wiki." env:"BARKA_CONTACT" placeholder:"ADDRESS"`

	RowsTolerance     float64 `help:"Largest relative difference of numbers of rows." default:"0.05"`
	LossTolerance     float64 `help:"Largest relative difference of losses; a loss below 0.1 counts as 0.1." default:"0.02"`
	AccuracyTolerance float64 `help:"Largest absolute difference of scores; one question is always allowed." default:"0.02"`
}

func (reproduceCmd) Help() string {
	return `Runs the recipe of a lock file in a new directory and compares the results. Models and data sets
of the hub are downloaded. If an input has changed, it is named with both digests, and nothing runs.

On a machine with the same kernels (BARKA_CPU) and the same version of barka every file has to be
equal to the byte. Elsewhere sums are rounded differently: files may differ, and numbers of rows,
losses and scores have to be within the tolerances. The exit code is 0 if the run is reproduced and 4
if it is not. An interrupted run is resumed by the same command.

Example: barka reproduce quickstart.lock.json --out runs/again`
}

func (c *reproduceCmd) Run(a *app) error {
	if min(c.RowsTolerance, c.LossTolerance, c.AccuracyTolerance) < 0 {
		return usagef("reproduce: a tolerance is negative, expected at least 0")
	}
	l, err := reproduce.Read(c.Lock)
	if err != nil {
		return err
	}
	r, err := l.Open(c.Inputs)
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = runDirectory(r) + "-reproduced"
	}
	if err := a.needContact(r, c.Contact); err != nil {
		return err
	}
	w, err := a.runner(r, c.Out)
	if err != nil {
		return err
	}
	w.Revisions = l.Revisions()
	if err := c.checkInputs(a, l, w, r); err != nil || c.DryRun {
		return err
	}
	if err := a.runAll(w, r, c.Memory); err != nil {
		return err
	}
	return c.compare(a, l)
}

// checkInputs downloads what the run needs and compares it with the lock.
func (c *reproduceCmd) checkInputs(a *app, l *reproduce.Lock, w *recipe.Runner, r *recipe.Recipe) error {
	if err := a.ready(w, r); err != nil {
		return err
	}
	inputs, err := w.Inputs(a.ctx, r)
	if err != nil {
		return err
	}
	if err := l.CheckInputs(inputs); err != nil {
		return err
	}
	if l.Barka != version.Barka {
		a.ui.Warnf("the lock is of barka %s, and this is %s: results may differ", l.Barka, version.Barka)
	}
	for _, at := range r.Network() {
		a.ui.Warnf("%s: answers from the network are not locked, and may have changed", at)
	}
	a.ui.Infof("%d inputs are those of the lock", len(inputs))
	return nil
}

// compare prints the comparison of the new run with the lock.
func (c *reproduceCmd) compare(a *app, l *reproduce.Lock) error {
	ran, err := recipe.ReadRun(c.Out)
	if err != nil {
		return err
	}
	results, err := recipe.Results(a.ctx, c.Out)
	if err != nil {
		return err
	}
	found := l.Compare(ran, results, reproduce.Tolerances{Rows: c.RowsTolerance, Loss: c.LossTolerance, Accuracy: c.AccuracyTolerance})
	if a.JSON {
		err = a.ui.Print("", found)
	} else {
		rows := make([][]any, len(found.Rows))
		for i, r := range found.Rows {
			rows[i] = []any{r.Dir, r.What, r.Locked, r.Now, string(r.Status)}
		}
		err = a.ui.Table([]string{"output", "what", "locked", "now", "result"}, rows)
	}
	if err != nil {
		return err
	}
	how := "the kernels are the same, so that every byte has to be equal"
	if !found.SameKernels {
		how = fmt.Sprintf("made on %s by barka %s, and now on %s by %s: differences within the tolerances are allowed",
			strings.Join(l.Machines, ", "), l.Barka, strings.Join(ran.Machines, ", "), ran.Barka)
	}
	a.ui.Infof("%d equal, %d near, %d different; %s", found.Count(reproduce.Equal), found.Count(reproduce.Near),
		len(found.Rows)-found.Count(reproduce.Equal)-found.Count(reproduce.Near), how)
	if !found.Reproduced() {
		return differentError{}
	}
	return nil
}
