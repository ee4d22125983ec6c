package eval

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/eval/leaderboard"
	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/progress"
)

// writer writes the files of a complete run: those of the reference and Barka's own.
type writer struct {
	output   string
	progress progress.Reporter
	// start is the time when the run began; now is called for the time of its end.
	start time.Time
	now   func() time.Time
	// claim records the times in the names of the files. It is nil in a merge, whose
	// times are those of the shards.
	claim *claim
}

// write computes the metrics of a run, writes its files and adds them to the outcome. It
// does nothing if no task is left.
func (w writer) write(run *record.Run, out *Outcome) error {
	if len(run.Tasks) == 0 {
		return nil
	}
	lighteval.Measure(run)
	report := lighteval.NewReport(run)
	out.Leaderboard = leaderboard.New(run, report.Results)
	out.Console = report.Console()
	out.Questions = 0
	for _, t := range run.Tasks {
		out.Questions += len(t.Questions)
	}
	when := times{w.start, w.now()}
	var err error
	if w.claim != nil {
		if when, err = w.claim.times(when); err != nil {
			return fmt.Errorf("evaluation results: %w", err)
		}
	}
	stamp := lighteval.Timestamp(when.End)
	if !run.Settings.NoDetails {
		if out.DetailsDir, err = report.WriteDetails(w.output, stamp, w.progress); err != nil {
			return fmt.Errorf("evaluation details: %w", err)
		}
	}
	files, err := out.Leaderboard.Write(resultsDir(w.output, run), stamp, run.Failures())
	if err != nil {
		return fmt.Errorf("leaderboard table: %w", err)
	}
	out.LeaderboardMD, out.LeaderboardJSON, out.LeaderboardHTML = files.Markdown, files.JSON, files.HTML
	// The result file comes last: if it exists, all files do.
	if out.ResultsPath, err = report.WriteResults(w.output, when.Start, when.End, stamp); err != nil {
		return fmt.Errorf("evaluation results: %w", err)
	}
	w.sweep(run)
	return nil
}

// sweep removes the temporary files of killed runs. Their names contain the time, so no
// later run replaces them.
func (w writer) sweep(run *record.Run) {
	details := lighteval.DetailsDir(w.output, run.Model.Name)
	dirs := []string{resultsDir(w.output, run), details}
	entries, _ := os.ReadDir(details)
	for _, entry := range entries {
		if entry.IsDir() {
			dirs = append(dirs, filepath.Join(details, entry.Name()))
		}
	}
	for _, dir := range dirs {
		atomicfile.Sweep(dir)
	}
	_ = tidy(resultsDir(w.output, run), false) // what stays does no harm
}

// makeOutputDirs makes the directories of a run's files, so that an obstacle is reported
// before anything is scored.
func makeOutputDirs(output string, run *record.Run) error {
	if name := run.Model.Name; !filepath.IsLocal(filepath.FromSlash(name)) {
		return badinput.Errorf("the model's name %q leads out of the output directory; use another path to the model", name)
	}
	dirs := []string{resultsDir(output, run)}
	if !run.Settings.NoDetails {
		dirs = append(dirs, lighteval.DetailsDir(output, run.Model.Name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return badinput.Errorf("output directory: %w; choose another --output-dir, or move what is in the way", err)
		}
	}
	return nil
}

// resultsDir returns the directory of a run's result files.
func resultsDir(output string, run *record.Run) string {
	return lighteval.ResultsDir(output, run.Model.Name)
}
