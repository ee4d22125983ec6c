package leaderboard

import (
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"barka/internal/htmlpage"
	"barka/internal/pytext"
)

//go:embed leaderboard.html
var leaderboardHTML string

var leaderboardPage = htmlpage.New(leaderboardHTML)

// HTML returns the table as a page.
func (l Table) HTML() (string, error) { return htmlpage.Render(leaderboardPage, l) }

// Run counts the complete rows.
func (l Table) Run() int {
	n := 0
	for _, r := range l.Rows {
		if r.Run == r.Tasks {
			n++
		}
	}
	return n
}

// Partial counts the partial rows.
func (l Table) Partial() int {
	n := 0
	for _, r := range l.Rows {
		if r.Partial() {
			n++
		}
	}
	return n
}

// Questions counts the questions of all tasks.
func (l Table) Questions() int {
	n := 0
	for _, t := range l.Tasks {
		n += t.Questions
	}
	return n
}

// Markdown returns the table, followed by a table of the tasks.
func (l Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s | ± | acc | majority | one answer | random | questions "+
		"|\n|---|---:|---:|---:|---:|---:|---:|---:|\n", l.Version.Title(), cell(l.Model))
	for _, r := range l.Rows {
		if r.Run == 0 {
			fmt.Fprintf(&b, "| %s | — | — | — | — | — | — | — |\n", r.Name)
			continue
		}
		constant := htmlpage.Score(r.Constant)
		if r.ConstantAnswer != "" {
			constant += " (" + cell(r.ConstantAnswer) + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %d |\n", r.Label(), htmlpage.Score(r.Score),
			htmlpage.Score(r.StdErr), htmlpage.Score(r.Accuracy), htmlpage.Score(r.Majority), constant, htmlpage.Score(r.Random), r.Questions)
	}
	fmt.Fprintf(&b, "| **Average** | **%s** | | | | | | |\n", htmlpage.Score(l.Average))
	for _, n := range l.Notes() {
		b.WriteString("\n" + n + "\n")
	}
	b.WriteString("\nMajority: the commonest answer of each task, always. One answer: the best single answer to all " +
		"questions of the row. Given most: the answer that the model gave most often, and its share of the questions.\n\n")
	b.WriteString("| task | questions | acc | acc_norm | majority | random | always the same answer | given most " +
		"|\n|---|---:|---:|---:|---:|---:|---|---|\n")
	for _, t := range l.Tasks {
		var constants []string
		for _, a := range t.Constants() {
			constants = append(constants, cell(a.Text)+" "+htmlpage.Percent(a.Share))
		}
		if !t.HasChoices() {
			constants = []string{t.Metric + " " + htmlpage.Percent(t.Score)}
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s | %s | %s %s |\n", cell(t.Task), t.Questions, htmlpage.Percent(t.Acc),
			htmlpage.Percent(t.AccNorm), htmlpage.Percent(t.Majority), htmlpage.Percent(t.Random),
			strings.Join(constants, " · "), cell(t.Habit.Short()), htmlpage.Percent(t.Habit.Share))
	}
	return b.String()
}

// cell escapes a text for a cell of a Markdown table.
func cell(s string) string { return htmlpage.Cell(strings.TrimSpace(s)) }

// HasChoices reports whether the task's answers are chosen and not written.
func (b Baseline) HasChoices() bool { return !math.IsNaN(b.Random) }

// Constants returns the accuracy of always giving the same answer, for each answer. An
// answer is a text if all questions have the same texts, and otherwise a number.
func (b Baseline) Constants() []Answer {
	if b.Answers != nil {
		return b.Answers
	}
	var out []Answer
	for i, share := range b.Constant {
		out = append(out, Answer{fmt.Sprintf("option %d", i+1), share})
	}
	return out
}

// SameAnswers describes the tasks in which the model gave one answer to all or
// nearly all questions.
func (l Table) SameAnswers() []string {
	var habits []Habit
	for _, t := range l.Tasks {
		habits = append(habits, t.Habit)
	}
	return SameAnswers(habits)
}

// Notes returns remarks for the reader of the table.
func (l Table) Notes() []string {
	var out []string
	if done := l.Run(); done < len(l.Rows) {
		text := fmt.Sprintf("No average: %d of %d rows were run.", done, len(l.Rows))
		if n := l.Partial(); n > 0 {
			text += fmt.Sprintf(" Partial rows (%d) show the mean of the tasks that were run and do not compare with the leaderboard's.", n)
		}
		out = append(out, text)
	}
	if l.Sampled {
		out = append(out, "Computed from a sample of the questions.")
	}
	for _, r := range l.Rows {
		if r.Score <= r.Constant {
			out = append(out, fmt.Sprintf("%s: %.2f is no more than always answering %s would score, %.2f.", r.Label(), r.Score,
				isolated(r.ConstantAnswer), r.Constant))
		}
	}
	return append(append(out, l.SameAnswers()...), l.biases()...)
}

// isolated isolates a word of either direction from the text around it, with Unicode's
// isolate characters.
func isolated(s string) string { return "\u2068" + strings.TrimSpace(s) + "\u2069" }

// bias collects the tasks of a family whose two accuracies differ by remarkable or more.
type bias struct {
	tasks        int
	acc, accNorm float64
	example      Baseline
}

// remarkable is the difference between acc and acc_norm from which a note is made.
const remarkable = 0.05

// biases returns a note for each family whose acc and acc_norm differ by remarkable or
// more.
func (l Table) biases() []string {
	families := map[string]*bias{}
	for _, t := range l.Tasks {
		if !(math.Abs(t.Acc-t.AccNorm) >= remarkable) {
			continue
		}
		family := familyOf(t.Task)
		if families[family] == nil {
			families[family] = &bias{example: t}
		}
		f := families[family]
		f.tasks, f.acc, f.accNorm = f.tasks+1, f.acc+t.Acc, f.accNorm+t.AccNorm
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		n := float64(f.tasks)
		why := "which favours long options"
		if long, short, ok := f.example.favoured(); ok {
			why = fmt.Sprintf("which favours %s (%d) over %s (%d)", isolated(long), pytext.CodePoints(long), isolated(short),
				pytext.CodePoints(short))
		}
		out = append(out, fmt.Sprintf("%s: acc is %.2f and acc_norm %.2f over the tasks (%d) in which they differ by 5 "+
			"points or more. acc_norm divides a choice's log-probability by its number of characters, %s.",
			name, 100*f.acc/n, 100*f.accNorm/n, f.tasks, why))
	}
	return out
}
