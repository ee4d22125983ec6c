package htmlpage

import (
	"fmt"
	"strings"
)

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

// Numbers reports whether a column holds nothing but numbers.
func (t Table) Numbers(column int) bool {
	found := false
	for _, row := range t.Rows {
		if column < len(row) && row[column] != "" {
			if !IsNumber(row[column]) {
				return false
			}
			found = true
		}
	}
	return found
}

// IsNumber reports whether a cell is a number, or the text of one.
func IsNumber(cell any) bool {
	text := fmt.Sprint(cell)
	return text != "" && strings.Trim(text, "0123456789.+-") == ""
}

// Cell escapes a text for a cell of a Markdown table.
func Cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
