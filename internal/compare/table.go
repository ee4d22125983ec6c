package compare

import (
	"fmt"
	"slices"
	"strings"

	"barka/internal/htmlpage"
)

// headers are the column headings of cells.
var headers = []string{"", "questions", "A", "B", "change", "95 % interval", "only A", "only B", "p McNemar", "p bootstrap", "p Holm"}

// cells formats a difference in percent.
func (d Difference) cells() []string {
	return []string{d.Task, fmt.Sprint(d.Questions), htmlpage.Percent(d.A), htmlpage.Percent(d.B), htmlpage.Points(100 * (d.B - d.A)),
		htmlpage.Points(100*d.Low) + " … " + htmlpage.Points(100*d.High), fmt.Sprint(d.OnlyA), fmt.Sprint(d.OnlyB),
		htmlpage.P(d.McNemar), htmlpage.P(d.Bootstrap), htmlpage.P(d.Holm)}
}

// Tables returns the comparison for a terminal: the leaderboard's rows, and the tasks if
// rows are missing or allTasks is set. With withPublished, the last table holds published
// figures beside the measured ones. Tables without rows are omitted.
func (c *Comparison) Tables(allTasks, withPublished bool) []htmlpage.Table {
	lists := [][]Difference{append(c.Lines(), c.All)}
	if c.Average.Questions == 0 || allTasks {
		lists = [][]Difference{c.Lines(), append(c.Tasks[:len(c.Tasks):len(c.Tasks)], c.All)}
	}
	var out []htmlpage.Table
	for _, list := range lists {
		t := htmlpage.Table{Headers: headers}
		for _, d := range list {
			t.Rows = append(t.Rows, anys(append([]string{d.Short()}, d.cells()[1:]...)))
		}
		out = append(out, t)
	}
	if p, ok := PublishedFor(c.Leaderboard); ok && withPublished {
		t := htmlpage.Table{}
		var rows [][]string
		t.Headers, rows = c.besideCells(p)
		for _, row := range rows {
			t.Rows = append(t.Rows, anys(row))
		}
		out = append(out, t)
	}
	return slices.DeleteFunc(out, func(t htmlpage.Table) bool { return len(t.Rows) == 0 })
}

func anys(cells []string) []any {
	out := make([]any, len(cells))
	for i, c := range cells {
		out[i] = c
	}
	return out
}

// Lines returns the leaderboard's rows with their average, if there are any.
func (c *Comparison) Lines() []Difference {
	if c.Average.Questions > 0 {
		return append(c.Rows[:len(c.Rows):len(c.Rows)], c.Average)
	}
	return c.Rows
}

// Legend explains the columns.
func (c *Comparison) Legend() string {
	return fmt.Sprintf("Scores are in percent. 95 %% interval and p bootstrap: %d paired resamples (seed %d) of each task's "+
		"questions, with the leaderboard's weights of tasks. only A, only B: questions that only one run answered "+
		"correctly. p McNemar: McNemar's exact test on these counts, the more reliable one if they are small. p Holm: corrected "+
		"for the number of tasks (McNemar) or of rows (bootstrap).", c.Resamples, c.Seed)
}

// Markdown returns everything except the flips, and optionally a table with published
// figures.
func (c *Comparison) Markdown(withPublished bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A: %s (%s)  \nB: %s (%s)\n", htmlpage.Cell(c.A.Model), c.A.Time, htmlpage.Cell(c.B.Model), c.B.Time)
	if lines := c.Lines(); len(lines) > 0 {
		markdownTable(&b, c.Leaderboard.Title(), lines)
	}
	markdownTable(&b, "task", append(c.Tasks[:len(c.Tasks):len(c.Tasks)], c.All))
	fmt.Fprintf(&b, "\n%s\n", c.Legend())
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "\n* %s\n", htmlpage.Cell(n))
	}
	if p, ok := PublishedFor(c.Leaderboard); ok && withPublished {
		c.publishedMarkdown(&b, p)
	}
	return b.String()
}

func markdownTable(b *strings.Builder, first string, ds []Difference) {
	fmt.Fprintf(b, "\n| %s | %s |\n|---%s|\n", first, strings.Join(headers[1:], " | "), strings.Repeat("|---:", len(headers)-1))
	for _, d := range ds {
		cells := d.cells()
		cells[0] = htmlpage.Cell(cells[0])
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
}

func (c *Comparison) publishedMarkdown(b *strings.Builder, p Published) {
	headers, rows := c.besideCells(p)
	fmt.Fprintf(b, "\n| %s |\n|---%s|\n", strings.Join(headers, " | "), strings.Repeat("|---:", len(headers)-1))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	fmt.Fprintf(b, "\n%s\n", p.Remark())
}

// besideCells returns the table that shows published figures beside the measured ones.
func (c *Comparison) besideCells(p Published) (headers []string, rows [][]string) {
	headers = []string{"", "A, measured", "B, measured", "gain, measured", p.Base + ", published",
		p.Tuned + ", published", "gain, published"}
	for _, r := range c.Beside(p) {
		measured := []string{"—", "—", "—"}
		if r.Measured != nil {
			measured = r.Measured.cells()[2:5]
		}
		rows = append(rows, append(append([]string{r.Name}, measured...), htmlpage.Score(r.Base), htmlpage.Score(r.Tuned),
			htmlpage.Points(r.Gain())))
	}
	return headers, rows
}
