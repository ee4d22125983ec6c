package htmlpage

import "strings"

// Table is a table of a report. Cells are numbers and texts.
type Table struct {
	Title   string
	Headers []string
	Rows    [][]any
}

// Cell escapes a text for a cell of a Markdown table.
func Cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
