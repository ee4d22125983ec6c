package compare

import (
	"fmt"
	"math"
	"strings"

	"barka/internal/htmlpage"
)

// Headers are those of Cells.
var Headers = []string{"", "questions", "A", "B", "change", "95 % interval", "only A", "only B", "p McNemar", "p bootstrap", "p Holm"}

// Cells writes a difference in percent.
func (d Difference) Cells() []string {
	return []string{d.Task, fmt.Sprint(d.Questions), htmlpage.Score(100 * d.A), htmlpage.Score(100 * d.B), htmlpage.Points(100 * (d.B - d.A)),
		htmlpage.Points(100*d.Low) + " … " + htmlpage.Points(100*d.High), fmt.Sprint(d.OnlyA), fmt.Sprint(d.OnlyB), htmlpage.P(d.McNemar), htmlpage.P(d.Bootstrap), htmlpage.P(d.Holm)}
}

// Lines are the leaderboard's rows with their average, as far as there are
// any.
func (c *Comparison) Lines() []Difference {
	if c.Average.Questions > 0 {
		return append(c.Rows[:len(c.Rows):len(c.Rows)], c.Average)
	}
	return c.Rows
}

// Legend explains the columns.
func (c *Comparison) Legend() string {
	return fmt.Sprintf("Scores in percent. 95 %% interval and p bootstrap: %d paired resamples (seed %d) of each task's questions, tasks weighed as the leaderboard weighs them. only A, only B: questions that one run alone answered rightly; McNemar's exact test is of these, and the one to trust where they are few. p Holm: corrected for the number of tasks (McNemar) or of rows (bootstrap).", c.Resamples, c.Seed)
}

// Markdown writes everything but the flips; with published figures in a table
// of their own.
func (c *Comparison) Markdown(withPublished bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A: %s (%s)  \nB: %s (%s)\n", cell(c.A.Model), c.A.Time, cell(c.B.Model), c.B.Time)
	if lines := c.Lines(); len(lines) > 0 {
		markdownTable(&b, c.Leaderboard.Title(), lines)
	}
	markdownTable(&b, "task", append(c.Tasks[:len(c.Tasks):len(c.Tasks)], c.All))
	fmt.Fprintf(&b, "\n%s\n", c.Legend())
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "\n* %s\n", cell(n))
	}
	if p, ok := PublishedFor(c.Leaderboard); ok && withPublished {
		c.publishedMarkdown(&b, p)
	}
	return b.String()
}

func markdownTable(b *strings.Builder, first string, ds []Difference) {
	fmt.Fprintf(b, "\n| %s | %s |\n|---%s|\n", first, strings.Join(Headers[1:], " | "), strings.Repeat("|---:", len(Headers)-1))
	for _, d := range ds {
		cells := d.Cells()
		cells[0] = cell(cells[0])
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
}

func (c *Comparison) publishedMarkdown(b *strings.Builder, p Published) {
	headers, rows := c.BesideCells(p)
	fmt.Fprintf(b, "\n| %s |\n|---%s|\n", strings.Join(headers, " | "), strings.Repeat("|---:", len(headers)-1))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	fmt.Fprintf(b, "\n%s\n", p.Remark())
}

// BesideCells is the table of measured beside published figures.
func (c *Comparison) BesideCells(p Published) (headers []string, rows [][]string) {
	headers = []string{"", "A, measured", "B, measured", "gain, measured", p.Base + ", published", p.Tuned + ", published", "gain, published"}
	for _, r := range c.Beside(p) {
		measured := []string{"—", "—", "—"}
		if r.Measured != nil {
			measured = r.Measured.Cells()[2:5]
		}
		rows = append(rows, append(append([]string{r.Name}, measured...), htmlpage.Score(r.Base), htmlpage.Score(r.Tuned), htmlpage.Points(r.Gain())))
	}
	return headers, rows
}

// cell keeps a text within its cell.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }

// Record is the comparison for programs; scores are from 0 to 1.
type Record struct {
	A            RunRecord          `json:"a"`
	B            RunRecord          `json:"b"`
	Leaderboard  string             `json:"leaderboard"`
	Resamples    int                `json:"resamples"`
	Seed         int64              `json:"seed"`
	Rows         []DifferenceRecord `json:"rows"`
	Average      *DifferenceRecord  `json:"average"`
	Tasks        []DifferenceRecord `json:"tasks"`
	AllQuestions DifferenceRecord   `json:"all_questions"`
	OnlyInA      []string           `json:"only_in_a"`
	OnlyInB      []string           `json:"only_in_b"`
	Notes        []string           `json:"notes"`
	Flips        []Flip             `json:"flips,omitempty"`
}

// RunRecord says which evaluation was compared.
type RunRecord struct {
	Model   string `json:"model"`
	Time    string `json:"time"`
	Details string `json:"details"`
}

// DifferenceRecord is a Difference.
type DifferenceRecord struct {
	Name      string   `json:"name"`
	Questions int      `json:"questions"`
	A         float64  `json:"a"`
	B         float64  `json:"b"`
	Change    float64  `json:"change"`
	Low       float64  `json:"low"`
	High      float64  `json:"high"`
	OnlyA     int      `json:"only_a"`
	OnlyB     int      `json:"only_b"`
	McNemar   float64  `json:"p_mcnemar"`
	Bootstrap float64  `json:"p_bootstrap"`
	Holm      *float64 `json:"p_holm"`
}

// Record returns the comparison with some of its flips.
func (c *Comparison) Record(flips []Flip) Record {
	list := func(ds []Difference) []DifferenceRecord {
		out := []DifferenceRecord{}
		for _, d := range ds {
			out = append(out, d.record())
		}
		return out
	}
	run := func(r *Run) RunRecord { return RunRecord{r.Model, r.Time, r.Dir} }
	texts := func(xs []string) []string { return append([]string{}, xs...) }
	r := Record{A: run(c.A), B: run(c.B), Leaderboard: string(c.Leaderboard), Resamples: c.Resamples, Seed: c.Seed, Rows: list(c.Rows), Tasks: list(c.Tasks),
		AllQuestions: c.All.record(), OnlyInA: texts(c.OnlyA), OnlyInB: texts(c.OnlyB), Notes: texts(c.Notes), Flips: flips}
	if c.Average.Questions > 0 {
		a := c.Average.record()
		r.Average = &a
	}
	return r
}

func (d Difference) record() DifferenceRecord {
	r := DifferenceRecord{d.Task, d.Questions, d.A, d.B, d.B - d.A, d.Low, d.High, d.OnlyA, d.OnlyB, d.McNemar, d.Bootstrap, nil}
	if !math.IsNaN(d.Holm) {
		r.Holm = &d.Holm
	}
	return r
}
