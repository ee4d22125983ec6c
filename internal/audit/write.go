package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
)

// Names of the files that Write writes.
const (
	ReportFile   = "audit.json"
	MarkdownFile = "audit.md"
	HTMLFile     = "audit.html"
	FindingsFile = "findings.jsonl"
	DropFile     = "drop.jsonl"
)

// Write writes the report, the findings and the training rows to drop to a directory.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return badinput.Wrap(err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, ReportFile), append(data, '\n')); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, MarkdownFile), []byte(r.Markdown())); err != nil {
		return err
	}
	html, err := r.HTML()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, HTMLFile), []byte(html)); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(dir, FindingsFile), r.Findings); err != nil {
		return err
	}
	if r.Overlap == nil {
		return nil
	}
	return writeLines(filepath.Join(dir, DropFile), r.Overlap.Rows)
}

func writeLines[T any](path string, rows []T) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, row := range rows {
		if err := e.Encode(row); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(path, b.Bytes())
}

// Summary counts the findings by kind.
func (r *Report) Summary() map[Kind]int {
	counts := map[Kind]int{}
	for _, f := range r.Findings {
		counts[f.Kind]++
	}
	return counts
}
