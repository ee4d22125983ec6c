package htmlpage

import "strings"

// ShortTask is a task's key, suite|task|shots, without the suite, and without the
// number of shots if that is 0.
func ShortTask(key string) string {
	if _, name, ok := strings.Cut(key, "|"); ok {
		return strings.TrimSuffix(name, "|0")
	}
	return key
}

// Table is a table of a report. Cells are numbers and texts.
type Table struct {
	Title   string
	Headers []string
	Rows    [][]any
}

// Cell escapes a text for a cell of a Markdown table.
func Cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
