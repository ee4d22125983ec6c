package main

import (
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/stage/eval/audit"
	"barka/internal/stage/eval/tasks"
)

type auditCmd struct {
	Data      string   `required:"" help:"Directory of the benchmark files in the hub's layout (OALL/Arabic_MMLU/...)." placeholder:"DIR"`
	Tasks     string   `help:"A file or comma-separated list of tasks, or names such as acva." default:"oall"`
	Train     []string `help:"Training sets to compare with the benchmarks: dataset directories, .parquet or .jsonl files." sep:"none" placeholder:"PATH"`
	Originals []string `help:"Files of the benchmarks in other languages (English test sets), compared too." sep:"none" placeholder:"FILE"`
	NGram     int      `name:"ngram" help:"Words of the sequences compared." default:"8"`
	Threshold float64  `help:"Share of a question's sequences in one training row from which the row is to be dropped." default:"0.5"`
	Out       string   `help:"Directory for audit.json, findings.jsonl (row by row) and drop.jsonl (training rows)." placeholder:"DIR"`
}

func (auditCmd) Help() string {
	return `Looks for duplicate, contradictory and leaked questions, equal options and biased answers in the benchmarks, and for their questions in training sets. No model takes part.

Example: barka audit --data benchmarks --tasks acva,arabic_mmlu --train runs/barka/5-mix --out audit`
}

func (c *auditCmd) Run(a *app) error {
	selection, err := tasks.ParseList(c.Tasks)
	if err != nil {
		return badinput.Wrap(err)
	}
	o := audit.Options{Tasks: selection, DataDir: c.Data, Training: c.Train, Originals: c.Originals, NGram: c.NGram, Threshold: c.Threshold}
	r, err := audit.Run(a.ctx, o, a.ui.Progress())
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := r.Write(c.Out); err != nil {
			return err
		}
	}
	return c.print(a, r)
}

func (c *auditCmd) print(a *app, r *audit.Report) error {
	for _, s := range r.Skipped {
		a.ui.Warnf("%s is left out: %s", s.Task, s.Reason)
	}
	headers := []string{"task", "rows", "answers", "random", "majority", "longest", "shortest", "duplicate", "contradictory", "repeated", "same options", "leaked"}
	if r.Overlap != nil {
		headers = append(headers, "in training")
	}
	var rows [][]any
	for _, t := range r.Tasks {
		name := t.Task[strings.Index(t.Task, "|")+1:]
		row := []any{name, t.Rows, answers(t.Gold), percent(t.Random), percent(t.Majority), percent(t.Longest), percent(t.Shortest),
			t.Duplicates, t.Contradictory, t.Repeated, t.SameOptions, t.Leaked}
		if r.Overlap != nil {
			row = append(row, t.Contaminated)
		}
		rows = append(rows, row)
	}
	if err := a.ui.Table(headers, rows); err != nil {
		return err
	}
	rows = nil
	for _, f := range r.Families {
		rows = append(rows, []any{f.Family, f.Tasks, f.Rows, f.Distinct, f.ContradictoryQuestions, f.ContradictoryRows, f.Repeated, f.SameOptions, f.Leaked})
	}
	if err := a.ui.Table([]string{"family", "tasks", "all rows", "distinct", "contradictory questions", "their rows", "repeated", "same options", "leaked"}, rows); err != nil {
		return err
	}
	c.notes(a, r)
	return nil
}

func (c *auditCmd) notes(a *app, r *audit.Report) {
	for _, cl := range r.Clusters {
		a.ui.Infof("%d nearly equal rows in %d tasks of %s, such as: %.200s", cl.Rows, len(cl.Tasks), cl.Family, strings.ReplaceAll(cl.Example, "\n", " | "))
	}
	biased := slices.DeleteFunc(slices.Clone(r.Tasks), func(t *audit.Task) bool { return !t.Biased() })
	if len(biased) > 0 {
		a.ui.Infof("%d tasks score the same options of unequal lengths every time (%s: %v characters): acc_norm, which divides by the length, favours the longest",
			len(biased), biased[0].Task, biased[0].FixedLengths)
	}
	if r.Overlap != nil {
		for _, d := range r.Overlap.Datasets {
			a.ui.Infof("%s: %d rows, %d share %d words in a row with a question, %d hold %.0f %% of one or more", d.Path, d.Rows, d.Touching, r.Overlap.NGram, d.Drop, 100*r.Overlap.Threshold)
		}
	}
	if c.Out != "" {
		a.ui.Infof("%d findings, row by row: %s/%s", len(r.Findings), c.Out, audit.FindingsFile)
	}
}

func answers(gold []int) string {
	s := make([]string, len(gold))
	for i, n := range gold {
		s[i] = fmt.Sprint(n)
	}
	return strings.Join(s, " ")
}

func percent(x float64) string { return fmt.Sprintf("%.1f", 100*x) }
