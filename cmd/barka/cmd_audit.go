package main

import (
	"barka/internal/audit"
	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
)

type auditCmd struct {
	Data      string   `help:"Directory of the benchmark files in the hub's layout (OALL/Arabic_MMLU/...); the hub's cache by default." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Tasks     string   `help:"A file or comma-separated list of tasks, or names such as acva." default:"oall"`
	Train     []string `help:"Training sets to compare with the benchmarks: dataset directories, .parquet or .jsonl files. Every text of a row counts, also an English source." sep:"none" placeholder:"PATH"`
	Originals []string `help:"Files of the benchmarks in other languages, such as English test sets, to compare too." sep:"none" placeholder:"FILE"`
	Details   []string `help:"Evaluations to score again on the questions without a defect: output directories, or directories of details." sep:"none" placeholder:"DIR"`
	NGram     int      `name:"ngram" help:"Length of the compared sequences, in words." default:"8"`
	Threshold float64  `help:"Share of a question's sequences in one training row from which the row is to be dropped." default:"0.5"`
	Out       string   `help:"Directory for audit.html, audit.md, audit.json, findings.jsonl (row by row) and drop.jsonl (training rows)." placeholder:"DIR"`
}

func (auditCmd) Help() string {
	return `Looks for duplicate, contradictory and leaked questions, equal options and biased answers in the benchmarks, and for their questions in training sets. It runs no model.

Texts are compared without vowel signs, tatweel and punctuation, with one form of alef, ya, ta marbuta and digits. If a row holds only one sequence of a question, as is always so for short questions, it must also hold the right answer.

Example: barka audit --data benchmarks --tasks acva,arabic_mmlu --train data/clean --out audit; barka mix --in data/clean --drop audit/drop.jsonl --out data/train

The score without defective questions, and without those in training sets:

Example: barka audit --data benchmarks --details evals/details/gemma/2026-01-31T12-00-00.000000`
}

func (c *auditCmd) options() audit.Options {
	o := audit.Defaults()
	o.Training, o.Originals, o.Details, o.NGram, o.Threshold = c.Train, c.Originals, c.Details, c.NGram, c.Threshold
	return o
}

func (c *auditCmd) Run(a *app) error {
	selection, err := tasks.ParseList(c.Tasks)
	if err != nil {
		return badinput.Wrap(err)
	}
	if c.Data == "" {
		c.Data = hub.CacheDir()
	}
	o := c.options()
	o.Tasks, o.DataDir, o.Threads = selection, c.Data, a.Threads
	r, err := audit.Run(a.ctx, o, a.ui.Progress())
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := r.Write(c.Out); err != nil {
			return err
		}
	}
	for _, text := range r.LeftOut(c.Data) {
		a.ui.Warnf("%s", text)
	}
	if a.JSON {
		if err := a.ui.Print("", r); err != nil {
			return err
		}
	} else {
		for _, t := range r.Tables() {
			if err := a.ui.Table(t.Headers, t.Rows); err != nil {
				return err
			}
		}
	}
	for _, note := range r.Notes() {
		a.ui.Infof("%s", note)
	}
	a.ui.Infof("%s", r.NextStep(c.Out))
	return nil
}
