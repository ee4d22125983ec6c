package main

import (
	"barka/internal/audit"
	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
)

type auditCmd struct {
	Data      string   `help:"Benchmark files in the hub's layout; default: the hub's cache." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Tasks     string   `help:"A file or comma-separated list of tasks, or names such as acva." default:"oall"`
	Train     []string `help:"Training set to search: dataset directory, .parquet or .jsonl; repeatable." sep:"none" placeholder:"PATH"`
	Originals []string `help:"File of a benchmark in another language, to search too; repeatable." sep:"none" placeholder:"FILE"`
	Details   []string `help:"Evaluation to score again without defective questions; repeatable." sep:"none" placeholder:"DIR"`
	NGram     int      `name:"ngram" help:"Length of the compared sequences, in words." default:"8"`
	Threshold float64  `help:"Drop a training row that holds this share of a question's sequences." default:"0.5"`
	Out       string   `help:"Directory of the report, the findings and drop.jsonl; nothing is written without it." placeholder:"DIR"`
}

func (auditCmd) Help() string {
	return `Looks for duplicate, contradictory and leaked questions, equal options and biased answers in the
benchmarks, and for their questions in training sets. It runs no model.

Texts are compared without vowel signs, tatweel and punctuation, with one form of alef, ya, ta
marbuta and digits. Every text of a training row counts, also an English source. A row that
holds one sequence, or some, of a short question must also hold the right answer.

--out gets audit.html, audit.md, audit.json, findings.jsonl (one finding per line) and drop.jsonl
(the training rows to drop). --data is laid out as on the hub (OALL/Arabic_MMLU/...). --details
takes the output directories of evaluations, or their directories of details.

Examples: build a training set without the benchmarks' questions, and score an evaluation again
without defective questions.

  barka audit --data benchmarks --tasks acva,arabic_mmlu --train data/clean --out audit
  barka mix --in wiki=data/clean --drop audit/drop.jsonl --out data/train
  barka audit --data benchmarks --details evals/details/gemma/2026-01-31T12-00-00.000000`
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
