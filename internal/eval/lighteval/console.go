package lighteval

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/pytext"
)

// consoleTable returns the Markdown table that the reference prints.
func consoleTable(results []Result, versions map[string]bool) string {
	headers := []string{"Task", "Version", "Metric", "Value", "", "Stderr"}
	numeric := []bool{false, true, false, true, false, true}
	var rows [][]string
	byKey := map[string]Result{}
	for _, t := range results {
		byKey[strings.ReplaceAll(t.Key, "|", ":")] = t
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		t := byKey[key]
		name, version := key, ""
		if versions[t.Key] {
			version = "0"
		}
		for _, m := range t.Metrics {
			if strings.HasSuffix(m.Name, "_stderr") {
				continue
			}
			row := []string{name, version, m.Name, fmt.Sprintf("%.4f", m.Value), "", ""}
			if stderr, ok := t.get(m.Name + "_stderr"); ok {
				row[4], row[5] = "±", fmt.Sprintf("%.4f", stderr)
			}
			rows = append(rows, row)
			name, version = "", ""
		}
	}
	return markdownTable(headers, numeric, rows)
}

// markdownTable pads cells to the width of their column. Headings are centred and
// numbers aligned to the right.
func markdownTable(headers []string, numeric []bool, rows [][]string) string {
	width := make([]int, len(headers))
	for i, h := range headers {
		width[i] = max(3, pytext.CodePoints(h))
		for _, r := range rows {
			width[i] = max(width[i], pytext.CodePoints(r[i]))
		}
	}
	var b strings.Builder
	for i, h := range headers {
		space := width[i] - pytext.CodePoints(h)
		b.WriteString("|" + strings.Repeat(" ", space/2) + h + strings.Repeat(" ", space-space/2))
	}
	b.WriteString("|\n")
	for i := range headers {
		if numeric[i] {
			b.WriteString("|" + strings.Repeat("-", width[i]-1) + ":")
		} else {
			b.WriteString("|" + strings.Repeat("-", width[i]))
		}
	}
	b.WriteString("|\n")
	for _, r := range rows {
		for i, cell := range r {
			space := strings.Repeat(" ", width[i]-pytext.CodePoints(cell))
			if numeric[i] {
				b.WriteString("|" + space + cell)
			} else {
				b.WriteString("|" + cell + space)
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}
