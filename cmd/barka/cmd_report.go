package main

import (
	"cmp"

	"barka/internal/badinput"
	"barka/internal/recipe"
	"barka/internal/stage/report"
)

type reportCmd struct {
	RunDir   string   `arg:"" optional:"" name:"run" help:"Directory of a run, whose outputs the page shows."`
	Out      string   `help:"HTML page to write; default: report.html in the run's directory." placeholder:"FILE"`
	Title    string   `help:"Title of the page; default: the run's name." placeholder:"TEXT"`
	Stages   []string `help:"Dataset directories of the stages, in the order of the run." placeholder:"DIR"`
	Training string   `help:"Output directory of train." placeholder:"DIR"`
	Base     string   `help:"Output directory of the base model's evaluation." placeholder:"DIR"`
	Tuned    string   `help:"Output directory of the tuned model's evaluation." placeholder:"DIR"`
	Audit    string   `help:"Output directory of audit; default: audit in the run's directory." placeholder:"DIR"`
	Samples  string   `help:"Dataset whose rows are shown, each source beside its translation." placeholder:"DIR"`
	From     string   `help:"Language of the sources, such as eng_Latn; default: the translation's." placeholder:"CODE"`
	To       string   `help:"Language of the samples, which sets their direction; default: the translation's." placeholder:"CODE"`
}

func (reportCmd) Help() string {
	return `The page shows a run, or what the flags name: a picture of the stages with kept and rejected rows,
samples, rejected rows by reason, tokens, the curves of training, the two evaluations side by side with
tests of their difference, the audit, times and payments, digests and licences. barka run writes it at
its end.

Examples:

  barka report runs/arabic
  barka audit --data benchmarks --train runs/arabic/5-mix --out runs/arabic/audit && barka report runs/arabic
  barka report --out report.html --stages data/passages --stages data/clean --training runs/adapter`
}

func (c *reportCmd) Run(a *app) error {
	var o report.Options
	if c.RunDir != "" {
		var err error
		if o, err = recipe.PageOf(c.RunDir); err != nil {
			return err
		}
	} else if c.Out == "" {
		return usagef("report: name the directory of a run, such as runs/arabic, or a page with --out FILE and what it shows")
	}
	for _, f := range []struct {
		to *string
		by string
	}{{&o.Out, c.Out}, {&o.Title, c.Title}, {&o.Training, c.Training}, {&o.Base, c.Base}, {&o.Tuned, c.Tuned},
		{&o.Audit, c.Audit}, {&o.Samples, c.Samples}, {&o.From, c.From}, {&o.To, c.To}} {
		*f.to = cmp.Or(f.by, *f.to)
	}
	o.Title = cmp.Or(o.Title, "Barka")
	if len(c.Stages) > 0 {
		o.Stages = c.Stages
	}
	if len(o.Stages) == 0 && o.Training == "" && o.Base == "" && o.Tuned == "" && o.Audit == "" && o.Samples == "" {
		return badinput.Errorf("report: there is nothing to show; name a run, or give at least one of --stages, --training, --base, " +
			"--tuned, --audit and --samples")
	}
	if err := report.Write(a.ctx, o); err != nil {
		return err
	}
	return a.ui.Print("report in "+o.Out, map[string]string{"out": o.Out})
}
