package audit

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"

	"barka/internal/htmlpage"
)

// LeftOut describes the tasks that are not in the report. Those without data in dataDir
// get one line per repository, with the command that downloads it; others get their
// reason.
func (r *Report) LeftOut(dataDir string) []string {
	var out, repos []string
	missing := map[string][]string{}
	for _, s := range r.Skipped {
		if s.Get == "" {
			out = append(out, fmt.Sprintf("%s is left out: %s", s.Task, s.Reason))
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
		out = append(out, fmt.Sprintf("left out, because their data is not in %s: %s\n  get it: %s",
			dataDir, strings.Join(names, ", "), get))
	}
	return out
}

// NextStep returns advice about the findings. out is the directory to which they were
// written, or "".
func (r *Report) NextStep(out string) string {
	drop := 0
	if r.Overlap != nil {
		for _, d := range r.Overlap.Datasets {
			drop += d.Drop
		}
	}
	findings, rows := counted(len(r.Findings), "finding"), counted(drop, "training row")
	switch {
	case out != "" && drop > 0:
		return fmt.Sprintf("%s, row by row: %s; %s to drop: barka mix … --drop %s", findings, filepath.Join(out, FindingsFile),
			rows, filepath.Join(out, DropFile))
	case out != "":
		return fmt.Sprintf("%s, row by row: %s", findings, filepath.Join(out, FindingsFile))
	case drop > 0:
		return fmt.Sprintf("%s and %s to drop; --out DIR writes them row by row, for barka mix --drop", findings, rows)
	}
	return fmt.Sprintf("%s; --out DIR writes them row by row", findings)
}

//go:embed audit.html
var pageText string

var page = htmlpage.New(pageText)

// HTML writes the notes and tables as one page that needs nothing else.
func (r *Report) HTML() (string, error) { return htmlpage.Render(page, r) }

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
	for _, t := range r.ReadingOrder() {
		fmt.Fprintf(&b, "\n## %s\n\n| %s |\n|", t.Title, strings.Join(t.Headers, " | "))
		for i := range t.Headers {
			align := "---|"
			if len(t.Rows) > 0 {
				if htmlpage.IsNumber(t.Rows[0][i]) {
					align = "---:|"
				}
			}
			b.WriteString(align)
		}
		for _, row := range t.Rows {
			b.WriteString("\n|")
			for _, cell := range row {
				b.WriteString(" " + htmlpage.Cell(fmt.Sprint(cell)) + " |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
