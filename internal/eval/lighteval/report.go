// Package lighteval writes the files that lighteval of May to July 2024 would have
// written about a run: the result file, the details and the table on the console.
// Metrics, digests, padding and names are equal to the reference's, to the byte.
package lighteval

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/eval/record"
	"barka/internal/progress"
	"barka/internal/pytext"
)

// Report is the reference's report of a run whose questions are all answered and
// measured.
type Report struct {
	// Results holds the tasks in the run's order, then the averages.
	Results []Result

	run       *record.Run
	padded    [][]paddedRow // per task
	summaries []summary     // per task
}

// NewReport computes the results, digests and counters of a run.
func NewReport(run *record.Run) *Report {
	r := &Report{run: run, padded: paddingOf(run), Results: aggregate(run.Tasks)}
	for i, t := range run.Tasks {
		r.summaries = append(r.summaries, summarise(t, r.padded[i], run.Model.EOS))
	}
	return r
}

// Console returns the Markdown table that the reference prints.
func (r *Report) Console() string {
	versions := map[string]bool{}
	for _, t := range r.run.Tasks {
		versions[t.Name()] = true
	}
	return consoleTable(r.Results, versions)
}

// WriteDetails writes a Parquet file per task below the output directory and returns
// their directory.
func (r *Report) WriteDetails(output, stamp string, progress progress.Reporter) (dir string, err error) {
	dir = filepath.Join(DetailsDir(output, r.run.Model.Name), stamp)
	progress.Start("details", int64(len(r.run.Tasks)), "tasks")
	defer progress.Done()
	for i, t := range r.run.Tasks {
		path := filepath.Join(dir, fmt.Sprintf("details_%s_%s.parquet", t.Name(), stamp))
		if err := writeDetails(path, t, r.padded[i], r.run.Model.EOS); err != nil {
			return "", err
		}
		progress.Add(1)
	}
	return dir, nil
}

// WriteResults writes the result file, and its copy beside the details if there
// are any, below the output directory. It returns the result file's path.
func (r *Report) WriteResults(output string, start, end time.Time, stamp string) (path string, err error) {
	text, err := pytext.JSON(r.object(start, end))
	if err != nil {
		return "", err
	}
	dirs := []string{ResultsDir(output, r.run.Model.Name)}
	if !r.run.Settings.NoDetails {
		dirs = []string{DetailsDir(output, r.run.Model.Name), dirs[0]}
	}
	for _, dir := range dirs {
		path = filepath.Join(dir, "results_"+stamp+".json")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := atomicfile.WriteFile(path, text); err != nil {
			return "", err
		}
	}
	return path, nil
}
