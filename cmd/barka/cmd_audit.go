package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"barka/internal/audit"
	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/hub"
)

type auditCmd struct {
	Data      string   `help:"Directory of the benchmark files in the hub's layout (OALL/Arabic_MMLU/...); the hub's cache by default." env:"BARKA_BENCHMARKS" placeholder:"DIR"`
	Tasks     string   `help:"A file or comma-separated list of tasks, or names such as acva." default:"oall"`
	Train     []string `help:"Training sets to compare with the benchmarks: dataset directories, .parquet or .jsonl files; every text of a row counts, an English source too." sep:"none" placeholder:"PATH"`
	Originals []string `help:"Files of the benchmarks in other languages (English test sets), compared too." sep:"none" placeholder:"FILE"`
	Details   []string `help:"Evaluations (output directories, or those of details), to score again on the questions that nothing is wrong with." sep:"none" placeholder:"DIR"`
	NGram     int      `name:"ngram" help:"Words of the sequences compared." default:"8"`
	Threshold float64  `help:"Share of a question's sequences in one training row from which the row is to be dropped." default:"0.5"`
	Out       string   `help:"Directory for audit.html, audit.md, audit.json, findings.jsonl (row by row) and drop.jsonl (training rows)." placeholder:"DIR"`
}

func (auditCmd) Help() string {
	return `Looks for duplicate, contradictory and leaked questions, equal options and biased answers in the benchmarks, and for their questions in training sets. No model takes part.

Texts are compared without vowel signs, tatweel and punctuation, with one form of alef, ya and ta marbuta and one of digits. A question of which a row holds no more than one such sequence, as of all short ones, is found only with its right answer.

Example: barka audit --data benchmarks --tasks acva,arabic_mmlu --train data/clean --out audit; barka mix --in data/clean --drop audit/drop.jsonl --out data/train

What a score would be without the defects, and without what was trained on:

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
	c.leftOut(a, r)
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
	c.next(a, r)
	return nil
}

// leftOut names the tasks without data, a line a repository.
func (c *auditCmd) leftOut(a *app, r *audit.Report) {
	var repos []string
	missing := map[string][]string{}
	for _, s := range r.Skipped {
		if s.Get == "" {
			a.ui.Warnf("%s is left out: %s", s.Task, s.Reason)
			continue
		}
		if missing[s.Get] == nil {
			repos = append(repos, s.Get)
		}
		missing[s.Get] = append(missing[s.Get], s.Task[strings.Index(s.Task, "|")+1:])
	}
	for _, get := range repos {
		names := missing[get]
		n := len(names)
		if n > 4 {
			names = append(names[:3:3], fmt.Sprintf("… (%d in all)", n))
		}
		a.ui.Warnf("left out, since their data is not in %s: %s\n  get it: %s", c.Data, strings.Join(names, ", "), get)
	}
}

// next says what to do about what was found.
func (c *auditCmd) next(a *app, r *audit.Report) {
	drop := 0
	if r.Overlap != nil {
		for _, d := range r.Overlap.Datasets {
			drop += d.Drop
		}
	}
	findings, rows := audit.Counted(len(r.Findings), "finding"), audit.Counted(drop, "training row")
	switch {
	case c.Out != "" && drop > 0:
		a.ui.Infof("%s, row by row: %s; %s to drop: barka mix … --drop %s", findings, filepath.Join(c.Out, audit.FindingsFile), rows, filepath.Join(c.Out, audit.DropFile))
	case c.Out != "":
		a.ui.Infof("%s, row by row: %s", findings, filepath.Join(c.Out, audit.FindingsFile))
	case drop > 0:
		a.ui.Infof("%s and %s to drop; --out DIR writes them row by row, for barka mix --drop", findings, rows)
	default:
		a.ui.Infof("%s; --out DIR writes them row by row", findings)
	}
}
