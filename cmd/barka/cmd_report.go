package main

import (
	"barka/internal/badinput"
	"barka/internal/stage/report"
)

type reportCmd struct {
	Out      string   `required:"" help:"Page to write."`
	Title    string   `help:"Title of the page." default:"Barka"`
	Stages   []string `help:"Dataset directories, in the order of the run."`
	Training string   `help:"Output directory of train."`
	Base     string   `help:"Output directory of the base model's evaluation."`
	Tuned    string   `help:"Output directory of the tuned model's evaluation."`
	Samples  string   `help:"Dataset whose rows are shown, the source beside the translation."`
	From     string   `help:"Language of the samples' sources, a code such as eng_Latn; default: the translation's."`
	To       string   `help:"Language of the samples, a code such as arb_Arab; it decides their direction. Default: the translation's."`
}

func (reportCmd) Help() string {
	return `Example: barka report --out report.html --stages data/passages --stages data/clean --training runs/adapter`
}

func (c *reportCmd) Run(a *app) error {
	if len(c.Stages) == 0 && c.Training == "" && c.Base == "" && c.Tuned == "" && c.Samples == "" {
		return badinput.Errorf("report: nothing to show; name --stages, --training, --base, --tuned or --samples")
	}
	err := report.Write(a.ctx, report.Options{Out: c.Out, Title: c.Title, Stages: c.Stages, Training: c.Training,
		Base: c.Base, Tuned: c.Tuned, Samples: c.Samples, From: c.From, To: c.To})
	if err != nil {
		return err
	}
	return a.ui.Print("report in "+c.Out, map[string]string{"out": c.Out})
}
