package leaderboard

import (
	"os"
	"path/filepath"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/eval/record"
	"barka/internal/pytext"
)

// Files holds the paths of the table's files: Markdown, JSON and an HTML page. Readers
// of the reference's files do not look for these names.
type Files struct{ Markdown, JSON, HTML string }

// Write writes the table's files into a directory. The JSON also lists the tasks
// that are not in the run, with the reasons.
func (l Table) Write(dir, stamp string, failures []record.Failure) (Files, error) {
	base := filepath.Join(dir, "leaderboard_"+stamp)
	f := Files{base + ".md", base + ".json", base + ".html"}
	perTask, left := pytext.Object{}, pytext.Object{}
	for _, b := range l.Tasks {
		perTask.Set(b.Task, b.object())
	}
	for _, f := range failures {
		left.Set(f.Task, strings.TrimSpace(f.Err.Error()))
	}
	object := append(l.Object(), pytext.Object{{Key: "tasks", Value: perTask}, {Key: "left_out", Value: left}}...)
	text, err := pytext.JSON(object)
	if err != nil {
		return f, err
	}
	html, err := l.HTML()
	if err != nil {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	for _, file := range []struct{ path, text string }{
		{f.JSON, string(text) + "\n"}, {f.HTML, html}, {f.Markdown, l.Markdown()},
	} {
		if err := atomicfile.WriteFile(file.path, []byte(file.text)); err != nil {
			return f, err
		}
	}
	return f, nil
}
