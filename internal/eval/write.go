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

// writer writes the files of a whole run: the reference's and Barka's own.
type writer struct {
	output   string
	progress progress.Reporter
	// start is when the run began, now is called for its end.
	start time.Time
	now   func() time.Time
	// claim remembers the times that the files are named after; nil in a merge,
	// where the shards do.
	claim *claim
}

// write measures the answers of a run and writes its files, unless no task is
// left. It adds to the outcome what it wrote.
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
	// The result file comes last: where it is, everything is.
	if out.ResultsPath, err = report.WriteResults(w.output, when.Start, when.End, stamp); err != nil {
		return fmt.Errorf("evaluation results: %w", err)
	}
	w.sweep(run)
	return nil
}

// sweep removes half-written files that killed runs left behind. Their names hold
// the time, so that no later run writes over them.
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
	_ = tidy(resultsDir(w.output, run), false) // only litter
}

// makeOutputDirs makes the directories of a run's files, so that whatever is in
// their way is reported before anything is scored.
func makeOutputDirs(output string, run *record.Run) error {
	if name := run.Model.Name; !filepath.IsLocal(filepath.FromSlash(name)) {
		return badinput.Errorf("the model's name %q leads out of the output directory; name the model in another way", name)
	}
	dirs := []string{resultsDir(output, run)}
	if !run.Settings.NoDetails {
		dirs = append(dirs, lighteval.DetailsDir(output, run.Model.Name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return badinput.Errorf("output directory: %w; name another --output-dir, or move what is in the way", err)
		}
	}
	return nil
}

// resultsDir is where a run's result files go.
func resultsDir(output string, run *record.Run) string {
	return lighteval.ResultsDir(output, run.Model.Name)
}
