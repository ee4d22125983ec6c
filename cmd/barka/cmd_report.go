package main

import (
	"barka/internal/badinput"
	"barka/internal/stage/report"
)

type reportCmd struct {
	Out      string   `required:"" help:"HTML page to write." placeholder:"FILE"`
	Title    string   `help:"Title of the page." default:"Barka"`
	Stages   []string `help:"Dataset directories of the stages, in the order of the run." placeholder:"DIR"`
	Training string   `help:"Output directory of train." placeholder:"DIR"`
	Base     string   `help:"Output directory of the base model's evaluation." placeholder:"DIR"`
	Tuned    string   `help:"Output directory of the tuned model's evaluation." placeholder:"DIR"`
	Samples  string   `help:"Dataset whose rows are shown, each source beside its translation." placeholder:"DIR"`
	From     string   `help:"Language of the sources, such as eng_Latn; default: the translation's." placeholder:"CODE"`
	To       string   `help:"Language of the samples, which sets their direction; default: the translation's." placeholder:"CODE"`
}

func (reportCmd) Help() string {
	return `The page shows what its flags name: the stages with their counts, the curves of training, the two
evaluations side by side, and samples.

Example:

  barka report --out report.html --stages data/passages --stages data/clean --training runs/adapter`
}

func (c *reportCmd) Run(a *app) error {
	if len(c.Stages) == 0 && c.Training == "" && c.Base == "" && c.Tuned == "" && c.Samples == "" {
		return badinput.Errorf("report: there is nothing to show; give at least one of --stages, --training, --base, --tuned and --samples")
	}
	err := report.Write(a.ctx, report.Options{Out: c.Out, Title: c.Title, Stages: c.Stages, Training: c.Training,
		Base: c.Base, Tuned: c.Tuned, Samples: c.Samples, From: c.From, To: c.To})
	if err != nil {
		return err
	}
	return a.ui.Print("report in "+c.Out, map[string]string{"out": c.Out})
}
