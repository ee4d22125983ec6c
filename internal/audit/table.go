package audit

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/htmlpage"
)

// Tables returns the report's tables: tasks, families, and if there are any, training
// sets and scores.
func (r *Report) Tables() []htmlpage.Table {
	tables := []htmlpage.Table{r.taskTable(), r.familyTable()}
	if r.Overlap != nil {
		tables = append(tables, r.trainingTable())
	}
	for _, s := range r.Scores {
		tables = append(tables, s.table())
	}
	return tables
}

// Totals are the sums at the head of the page.
type Totals struct {
	Tasks, Evaluated, Clean, Contradictory, Leaked int
	Searched                                       bool // training sets were
	Rows, Drop                                     int  // training rows, and those of them to drop
}

// Totals returns the sums over the families and the training sets.
func (r *Report) Totals() Totals {
	t := Totals{Searched: r.Overlap != nil}
	for _, f := range r.Families {
		t.Tasks += f.Tasks
		t.Evaluated += f.Evaluated
		t.Clean += f.Clean
		t.Contradictory += f.ContradictoryRows
		t.Leaked += f.Leaked
	}
	if r.Overlap != nil {
		for _, d := range r.Overlap.Datasets {
			t.Rows += d.Rows
			t.Drop += d.Drop
		}
	}
	return t
}

// CleanShare is the share of the evaluated questions without a defect.
func (t Totals) CleanShare() float64 { return float64(t.Clean) / float64(max(1, t.Evaluated)) }

// CleanShare is the share of the family's evaluated questions without a defect.
func (f *Family) CleanShare() float64 { return float64(f.Clean) / float64(max(1, f.Evaluated)) }

// ReadingOrder returns the tables for a document. The long table of tasks comes last,
// because the reader of a document starts at the top.
func (r *Report) ReadingOrder() []htmlpage.Table {
	tables := r.Tables()
	return append(tables[1:len(tables):len(tables)], tables[0])
}

func (r *Report) taskTable() htmlpage.Table {
	t := htmlpage.Table{Title: "Tasks", Headers: []string{"task", "rows", "answers", "random", "majority", "longest", "shortest",
		"duplicate", "contradictory", "repeated", "same options", "leaked", "clean"}}
	if r.Overlap != nil {
		t.Headers = append(t.Headers, "in training")
	}
	for _, task := range r.Tasks {
		row := []any{task.Task[strings.Index(task.Task, "|")+1:], task.Rows, "", "", "", "", "",
			task.Duplicates, task.Contradictory, task.Repeated, task.SameOptions, task.Leaked, task.Clean}
		if len(task.Gold) > 0 {
			copy(row[2:], []any{spaced(task.Gold), htmlpage.Percent(task.Random), htmlpage.Percent(task.Majority),
				htmlpage.Percent(task.Longest), htmlpage.Percent(task.Shortest)})
		}
		if r.Overlap != nil {
			row = append(row, task.Contaminated)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r *Report) familyTable() htmlpage.Table {
	t := htmlpage.Table{Title: "Families", Headers: []string{"family", "tasks", "all rows", "questions", "contradictory",
		"their rows", "repeated", "same options", "leaked", "evaluated", "clean", "majority", "best constant answer"}}
	for _, f := range r.Families {
		t.Rows = append(t.Rows, []any{f.Family, f.Tasks, f.Rows, f.Questions, f.ContradictoryQuestions, f.ContradictoryRows,
			f.Repeated, f.SameOptions,
			f.Leaked, f.Evaluated, f.Clean, htmlpage.Percent(f.Majority), f.constant()})
	}
	return t
}

// constant formats the best constant answer, with its text if it has one. The number
// comes first, so that Arabic text does not move it.
func (f *Family) constant() string {
	i, accuracy, ok := f.Best()
	switch {
	case !ok:
		return ""
	case i < len(f.Answers):
		return htmlpage.Percent(accuracy) + " " + f.Answers[i]
	}
	return fmt.Sprintf("%s number %d", htmlpage.Percent(accuracy), i+1)
}

func (r *Report) trainingTable() htmlpage.Table {
	t := htmlpage.Table{Title: "Training sets", Headers: []string{"training set", "rows",
		fmt.Sprintf("share %d words", r.Overlap.NGram), "to drop", "questions of"}}
	for _, d := range r.Overlap.Datasets {
		var of []string
		for _, family := range slices.Sorted(maps.Keys(d.Families)) {
			of = append(of, fmt.Sprintf("%s %d", family, d.Families[family]))
		}
		t.Rows = append(t.Rows, []any{d.Path, d.Rows, d.Touching, d.Drop, strings.Join(of, ", ")})
	}
	return t
}

func (s *Scores) table() htmlpage.Table {
	t := htmlpage.Table{Title: "Scores of " + s.Details, Headers: []string{"score", "answers", "all", "clean answers",
		"clean alone", "change"}}
	for _, f := range s.Families {
		row := []any{f.Name, f.Rows, htmlpage.Percent(f.All), f.Clean, "", ""}
		if f.Clean > 0 {
			row[4], row[5] = htmlpage.Percent(f.OnClean), fmt.Sprintf("%+.2f", 100*(f.OnClean-f.All))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func spaced(counts []int) string { return strings.Trim(fmt.Sprint(counts), "[]") }

// counted returns a number with its noun.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Notes returns the remarks that do not fit into tables.
func (r *Report) Notes() []string {
	var notes []string
	for _, t := range r.Tasks {
		if t.Broken == 0 {
			continue
		}
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Task == t.Task && f.Kind == Broken })
		f := r.Findings[i]
		notes = append(notes, fmt.Sprintf("%s: %s cannot be made a question, so that an evaluation leaves the task out; the first "+
			"is %s row %d: %s", t.Task, counted(t.Broken, "row"), f.Split, f.Row, f.Detail))
	}
	for _, c := range r.Clusters {
		notes = append(notes, fmt.Sprintf("%d nearly equal rows in %s of %s, such as: %.200s", c.Rows,
			counted(len(c.Tasks), "task"), c.Family, strings.ReplaceAll(c.Example, "\n", " | ")))
	}
	for _, f := range r.Families {
		var biased []*Task
		for _, t := range r.Tasks {
			if t.family == f.Family && t.Biased() {
				biased = append(biased, t)
			}
		}
		if len(biased) > 0 {
			notes = append(notes, fmt.Sprintf("in %s of %s every row has the same options, of %s characters (%s): "+
				"acc_norm, which divides by the length, favours the longest",
				counted(len(biased), "task"), f.Family, strings.ReplaceAll(spaced(biased[0].FixedLengths), " ", " and "),
				strings.Join(biased[0].fixed, " and ")))
		}
	}
	if r.Overlap != nil && r.Overlap.TooShort > 0 {
		notes = append(notes, fmt.Sprintf("too short or too common to be found in training sets: %s", counted(r.Overlap.TooShort, "question")))
	}
	for _, s := range r.Scores {
		if s.Unknown > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s to questions that the benchmark files do not have, left out", s.Details,
				counted(s.Unknown, "answer")))
		}
	}
	return notes
}
