package eval

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/pytext"
)

// write computes the aggregates and writes every file of the run.
func (e *evaluation) write(start time.Time) (*Outcome, error) {
	begun := start // by this process
	var reqs []Request
	for _, r := range e.runs {
		for i := range r.samples {
			reqs = append(reqs, r.samples[i].requests...)
		}
	}
	pads := paddings(reqs, e.o.BatchSize, e.m.MaxLength())
	results := aggregate(e.runs)
	summaries := make([]summary, len(e.runs))
	baselines := make([]Baseline, len(e.runs))
	versions := map[string]bool{}
	out := &Outcome{Failures: e.failures, Skipped: e.skipped, Scored: e.scored, Reused: e.reused}
	for i, r := range e.runs {
		summaries[i] = summarise(r, pads, e.m.Tokenizer().EOS())
		baselines[i] = baseline(r)
		versions[r.name()] = true
		out.Questions += len(r.samples)
	}
	out.Leaderboard = leaderboard(e.o.board(), e.m.Name(), results, e.runs, baselines)
	out.Console = consoleTable(results, versions)
	end := e.o.now()
	if e.claim != nil {
		when, err := e.claim.times(times{start, end})
		if err != nil {
			return nil, fmt.Errorf("evaluation results: %w", err)
		}
		start, end = when.Start, when.End
	}
	stamp := timestamp(end)
	if err := e.writeDetails(out, pads, stamp); err != nil {
		return nil, fmt.Errorf("evaluation details: %w", err)
	}
	g := general{
		batchSize: e.o.BatchSize, maxSamples: e.o.MaxSamples, jobID: e.o.JobID,
		start: seconds(start), end: seconds(end), model: e.m.Name(), info: e.m.Info(), modes: e.o.modes(),
	}
	if err := e.writeTables(out, baselines, stamp); err != nil {
		return nil, fmt.Errorf("leaderboard table: %w", err)
	}
	// The result file comes last: where it is, all is.
	if err := e.writeResults(out, resultsFile(g, results, e.runs, summaries), stamp); err != nil {
		return nil, fmt.Errorf("evaluation results: %w", err)
	}
	e.sweep(begun)
	return out, nil
}

// sweep removes half-written files that runs before this one left behind when
// they were killed: their names carry the time, so that nothing writes over
// them. What is not older than this run may be another's that still runs.
func (e *evaluation) sweep(start time.Time) {
	model := filepath.FromSlash(e.m.Name())
	for _, pattern := range []string{filepath.Join("results", model, "*"), filepath.Join("details", model, "*"), filepath.Join("details", model, "*", "*")} {
		paths, _ := filepath.Glob(filepath.Join(e.o.OutputDir, pattern+".tmp"))
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.ModTime().Before(start) {
				_ = os.Remove(path) // litter alone
			}
		}
	}
	_ = tidy(e.resultsDir(), false) // likewise
}

// timestamp is the reference's: local time in ISO format, dashes for colons.
func timestamp(t time.Time) string {
	s := t.Format("2006-01-02T15-04-05")
	if us := t.Nanosecond() / 1000; us != 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	return s
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// summarise makes a task's entry of summary_tasks.
func summarise(r *taskRun, pads []padding, pad int32) summary {
	s := summary{task: r.name()}
	digests := [4][]string{}
	effective := 0
	for i := range r.samples {
		q := &r.samples[i]
		var inputs, continuations listDigest
		for c, req := range q.requests {
			p := pads[q.first+c]
			inputs.add(req.input(p.inputCut), p.inputPad, pad)
			continuations.add(req.Continuation[:p.continuation], p.continuationPad, pad)
			s.truncated += count(p.inputCut > 0)
			s.padded += count(p.inputPad > 0)
			s.nonPadded += count(p.inputPad == 0)
		}
		for h, d := range []string{digestText(q.doc.Query), digestText(q.context), inputs.sum(), continuations.sum()} {
			digests[h] = append(digests[h], d)
		}
		effective += q.effective
		s.fewer += count(q.effective != q.asked)
	}
	for h := range hashNames {
		s.hashes[h] = digestSorted(digests[h])
	}
	s.nonTruncated = len(r.samples) - s.truncated
	s.effective = float64(effective) / float64(len(r.samples))
	return s
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (e *evaluation) writeDetails(out *Outcome, pads []padding, stamp string) error {
	if e.o.NoDetails {
		return nil
	}
	out.DetailsDir = filepath.Join(e.o.OutputDir, "details", filepath.FromSlash(e.m.Name()), stamp)
	e.progress.Start("details", int64(len(e.runs)), "tasks")
	defer e.progress.Done()
	for _, r := range e.runs {
		path := filepath.Join(out.DetailsDir, fmt.Sprintf("details_%s_%s.parquet", r.name(), stamp))
		if err := writeDetails(path, r, pads, e.m.Tokenizer().EOS()); err != nil {
			return err
		}
		e.progress.Add(1)
	}
	return nil
}

// writeResults writes the result file, and its copy beside the details.
func (e *evaluation) writeResults(out *Outcome, results pytext.Object, stamp string) error {
	text, err := pytext.JSON(results)
	if err != nil {
		return err
	}
	name := "results_" + stamp + ".json"
	model := filepath.FromSlash(e.m.Name())
	if !e.o.NoDetails {
		if err := writeText(filepath.Join(e.o.OutputDir, "details", model, name), string(text)); err != nil {
			return err
		}
	}
	out.ResultsPath = filepath.Join(e.resultsDir(), name)
	return writeText(out.ResultsPath, string(text))
}

// writeTables writes what lighteval does not have: the leaderboard's table
// and the baselines, in files whose names its readers do not look for.
func (e *evaluation) writeTables(out *Outcome, baselines []Baseline, stamp string) error {
	dir := e.resultsDir()
	out.TablePath = filepath.Join(dir, "leaderboard_"+stamp+".md")
	out.ExtraPath = filepath.Join(dir, "leaderboard_"+stamp+".json")
	out.PagePath = filepath.Join(dir, "leaderboard_"+stamp+".html")
	perTask, left := pytext.Object{}, pytext.Object{}
	for _, b := range baselines {
		perTask.Set(b.Task, b.object())
	}
	for _, f := range slices.Concat(e.failures, e.skipped) {
		left.Set(f.Task, strings.TrimSpace(f.Err.Error()))
	}
	extra := append(out.Leaderboard.Object(), pytext.Object{{Key: "tasks", Value: perTask}, {Key: "left_out", Value: left}}...)
	text, err := pytext.JSON(extra)
	if err != nil {
		return err
	}
	html, err := out.Leaderboard.HTML()
	if err != nil {
		return err
	}
	if err := writeText(out.ExtraPath, string(text)+"\n"); err != nil {
		return err
	}
	if err := writeText(out.PagePath, html); err != nil {
		return err
	}
	return writeText(out.TablePath, out.Leaderboard.Markdown())
}

func writeText(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, []byte(text))
}

// checkOutput makes the directories of a run's files, so that what is in
// their way is told before anything is scored.
func (e *evaluation) checkOutput() error {
	model := filepath.FromSlash(e.m.Name())
	if !filepath.IsLocal(model) {
		return badinput.Errorf("the model's name %q leads out of the output directory; name the model in another way", e.m.Name())
	}
	dirs := []string{e.resultsDir()}
	if !e.o.NoDetails {
		dirs = append(dirs, filepath.Join(e.o.OutputDir, "details", model))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return badinput.Errorf("output directory: %w; name another --output-dir, or move what is in the way", err)
		}
	}
	return nil
}
