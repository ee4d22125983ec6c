package audit

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

// Table is a part of the report for people. Cells are numbers and texts.
type Table struct {
	Title   string
	Headers []string
	Rows    [][]any
}

// Tables returns the report's tables: tasks, families, and what there is of
// training sets and scores.
func (r *Report) Tables() []Table {
	tables := []Table{r.taskTable(), r.familyTable()}
	if r.Overlap != nil {
		tables = append(tables, r.trainingTable())
	}
	for _, s := range r.Scores {
		tables = append(tables, s.table())
	}
	return tables
}

// ReadingOrder is the tables for a document, whose reader begins at its top: the
// long one of the tasks comes last.
func (r *Report) ReadingOrder() []Table {
	tables := r.Tables()
	return append(tables[1:len(tables):len(tables)], tables[0])
}

func (r *Report) taskTable() Table {
	t := Table{Title: "Tasks", Headers: []string{"task", "rows", "answers", "random", "majority", "longest", "shortest",
		"duplicate", "contradictory", "repeated", "same options", "leaked", "clean"}}
	if r.Overlap != nil {
		t.Headers = append(t.Headers, "in training")
	}
	for _, task := range r.Tasks {
		row := []any{task.Task[strings.Index(task.Task, "|")+1:], task.Rows, "", "", "", "", "",
			task.Duplicates, task.Contradictory, task.Repeated, task.SameOptions, task.Leaked, task.Clean}
		if len(task.Gold) > 0 {
			copy(row[2:], []any{spaced(task.Gold), percent(task.Random), percent(task.Majority), percent(task.Longest), percent(task.Shortest)})
		}
		if r.Overlap != nil {
			row = append(row, task.Contaminated)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r *Report) familyTable() Table {
	t := Table{Title: "Families", Headers: []string{"family", "tasks", "all rows", "questions", "contradictory", "their rows", "repeated", "same options",
		"leaked", "evaluated", "clean", "majority", "best constant answer"}}
	for _, f := range r.Families {
		t.Rows = append(t.Rows, []any{f.Family, f.Tasks, f.Rows, f.Questions, f.ContradictoryQuestions, f.ContradictoryRows, f.Repeated, f.SameOptions,
			f.Leaked, f.Evaluated, f.Clean, percent(f.Majority), f.constant()})
	}
	return t
}

// constant words the best constant answer, by its text where it has one; the
// number stands first, where Arabic does not move it.
func (f *Family) constant() string {
	i, accuracy, ok := f.Best()
	switch {
	case !ok:
		return ""
	case i < len(f.Answers):
		return percent(accuracy) + " " + f.Answers[i]
	}
	return fmt.Sprintf("%s number %d", percent(accuracy), i+1)
}

func (r *Report) trainingTable() Table {
	t := Table{Title: "Training sets", Headers: []string{"training set", "rows", fmt.Sprintf("share %d words", r.Overlap.NGram), "to drop", "questions of"}}
	for _, d := range r.Overlap.Datasets {
		var of []string
		for _, family := range slices.Sorted(maps.Keys(d.Families)) {
			of = append(of, fmt.Sprintf("%s %d", family, d.Families[family]))
		}
		t.Rows = append(t.Rows, []any{d.Path, d.Rows, d.Touching, d.Drop, strings.Join(of, ", ")})
	}
	return t
}

func (s *Scores) table() Table {
	t := Table{Title: "Scores of " + s.Details, Headers: []string{"score", "answers", "all", "clean answers", "clean alone", "change"}}
	for _, f := range s.Families {
		row := []any{f.Name, f.Rows, percent(f.All), f.Clean, "", ""}
		if f.Clean > 0 {
			row[4], row[5] = percent(f.OnClean), fmt.Sprintf("%+.2f", 100*(f.OnClean-f.All))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func spaced(counts []int) string { return strings.Trim(fmt.Sprint(counts), "[]") }

// Counted writes a number of things.
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func percent(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

// Notes says what the tables do not.
func (r *Report) Notes() []string {
	var notes []string
	for _, t := range r.Tasks {
		if t.Broken == 0 {
			continue
		}
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Task == t.Task && f.Kind == Broken })
		f := r.Findings[i]
		notes = append(notes, fmt.Sprintf("%s: %s cannot be made a question, and an evaluation refuses the task; the first is %s row %d: %s", t.Task, Counted(t.Broken, "row"), f.Split, f.Row, f.Detail))
	}
	for _, c := range r.Clusters {
		notes = append(notes, fmt.Sprintf("%d nearly equal rows in %s of %s, such as: %.200s", c.Rows, Counted(len(c.Tasks), "task"), c.Family, strings.ReplaceAll(c.Example, "\n", " | ")))
	}
	for _, f := range r.Families {
		var biased []*Task
		for _, t := range r.Tasks {
			if t.family == f.Family && t.Biased() {
				biased = append(biased, t)
			}
		}
		if len(biased) > 0 {
			notes = append(notes, fmt.Sprintf("in %s of %s the same options of %s characters are scored every time (%s): acc_norm, which divides by the length, favours the longest",
				Counted(len(biased), "task"), f.Family, strings.ReplaceAll(spaced(biased[0].FixedLengths), " ", " and "), strings.Join(biased[0].fixed, " and ")))
		}
	}
	if r.Overlap != nil && r.Overlap.TooShort > 0 {
		notes = append(notes, fmt.Sprintf("too short or common to look for in training sets: %s", Counted(r.Overlap.TooShort, "question")))
	}
	for _, s := range r.Scores {
		if s.Unknown > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s to what the benchmark files do not ask, left out", s.Details, Counted(s.Unknown, "answer")))
		}
	}
	return notes
}

// isNumber reports whether a cell is one, or the text of one.
func isNumber(cell any) bool {
	text := fmt.Sprint(cell)
	return text != "" && strings.Trim(text, "0123456789.+-") == ""
}

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"number": isNumber}).Parse(page))

// HTML writes the notes and tables as one page that needs nothing else.
func (r *Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, r)
	return b.Bytes(), err
}

// Markdown writes the notes and tables for people.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("# Audit of the benchmarks\n")
	b.WriteString("\n## Notes\n\n")
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "- %s is left out: %s\n", s.Task, s.Reason)
	}
	for _, n := range r.Notes() {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	escape := strings.NewReplacer("|", "\\|", "\n", " ")
	for _, t := range r.ReadingOrder() {
		fmt.Fprintf(&b, "\n## %s\n\n| %s |\n|", t.Title, strings.Join(t.Headers, " | "))
		for i := range t.Headers {
			align := "---|"
			if len(t.Rows) > 0 {
				if isNumber(t.Rows[0][i]) {
					align = "---:|"
				}
			}
			b.WriteString(align)
		}
		for _, row := range t.Rows {
			b.WriteString("\n|")
			for _, cell := range row {
				b.WriteString(" " + escape.Replace(fmt.Sprint(cell)) + " |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
