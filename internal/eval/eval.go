package eval

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"barka/internal/eval/leaderboard"
	"barka/internal/eval/record"
	"barka/internal/eval/shard"
	"barka/internal/progress"
)

// Outcome is the result of a run.
type Outcome struct {
	// ResultsPath is lighteval's result file. DetailsDir holds a Parquet file per
	// task.
	ResultsPath, DetailsDir string
	// LeaderboardMD, LeaderboardJSON and LeaderboardHTML are Barka's own files,
	// with the leaderboard's table and the baselines.
	LeaderboardMD, LeaderboardJSON, LeaderboardHTML string
	Leaderboard                                     leaderboard.Table
	// Console is the Markdown table that lighteval prints.
	Console  string
	Failures []Failure
	// Skipped lists the tasks that the options do not allow.
	Skipped []Failure
	// ShardDir is the directory of a shard's files, which Merge reads.
	ShardDir string
	// Scored and Reused count requests; Questions counts questions.
	Scored, Reused, Questions int
}

func newOutcome(run *record.Run) *Outcome {
	return &Outcome{Failures: run.LeftOut, Skipped: run.Skipped, Scored: run.Scored, Reused: run.Reused}
}

// Run evaluates a model. A task that cannot be run is left out and listed in the
// outcome's Failures; the files of the other tasks are written, and Run returns the
// outcome together with an error. Scores are stored as they arrive, so that an
// interrupted run resumes where it stopped.
func Run(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*Outcome, error) {
	start := o.now()
	e, err := prepare(ctx, m, o, reporter)
	if err != nil {
		return nil, err
	}
	if len(e.run.Tasks) == 0 {
		return e.outcomeWithoutTasks()
	}
	if o.Shard.Count <= 1 {
		if err := makeOutputDirs(o.OutputDir, e.run); err != nil {
			return nil, err
		}
	}
	claim, err := e.openClaim()
	if err != nil {
		return nil, err
	}
	out, err := e.scoreAndWrite(ctx, start, claim)
	if err == nil && o.Committed != nil && len(e.run.LeftOut) == 0 {
		err = o.Committed(out)
	}
	if err == nil {
		err = claim.done()
	}
	if err = errors.Join(err, claim.close()); err != nil {
		return nil, err
	}
	return out, failed(e.run.LeftOut, len(o.Tasks))
}

// evaluation is a run in progress.
type evaluation struct {
	m        Model
	o        Options
	progress progress.Reporter
	log      *slog.Logger
	run      *record.Run
	// own holds, per task, the indices of the questions that this process answers.
	own [][]int
}

// scoreAndWrite scores the questions and writes the files of a shard or of a whole run,
// or of both if one shard is the whole run.
func (e *evaluation) scoreAndWrite(ctx context.Context, start time.Time, claim *claim) (*Outcome, error) {
	var shardFiles *shard.Writer
	var err error
	if e.o.Shard.Count > 0 {
		if shardFiles, err = shard.Create(e.shardDir(), e.o.Shard, e.run); err != nil {
			return nil, err
		}
	}
	if err := e.score(ctx); err != nil {
		return nil, err
	}
	out := newOutcome(e.run)
	if shardFiles != nil {
		if out.Questions, err = shardFiles.Write(e.run, start, e.o.now()); err != nil {
			return nil, err
		}
		out.ShardDir = e.shardDir()
	}
	if e.o.Shard.Count > 1 {
		return out, nil
	}
	w := writer{output: e.o.OutputDir, progress: e.progress, start: start, now: e.o.now, claim: claim}
	return out, w.write(e.run, out)
}

// shardDir returns the directory of the shard's files.
func (e *evaluation) shardDir() string {
	return filepath.Join(e.o.OutputDir, "shards", filepath.FromSlash(e.m.Name()), e.o.Shard.String())
}

// Merge joins the shards of one run. It writes to outputDir the files that one process
// would have written. A directory is that of one shard, or an OutputDir whose shards
// are all read. The run's time is from the first shard's start to the last one's end,
// so that merging again writes the same files. Like Run, Merge returns the outcome
// together with the error about tasks that were left out.
func Merge(ctx context.Context, dirs []string, outputDir string, reporter progress.Reporter) (*Outcome, error) {
	reporter = progress.OrSilent(reporter)
	run, err := shard.Join(ctx, dirs, reporter)
	if err != nil {
		return nil, err
	}
	if err := makeOutputDirs(outputDir, run.Run); err != nil {
		return nil, err
	}
	// The shards decide the names of the files, so two merges of one run would
	// write the same files.
	lock, err := openClaim(resultsDir(outputDir, run.Run), "merge")
	if err != nil {
		return nil, err
	}
	out := newOutcome(run.Run)
	w := writer{output: outputDir, progress: reporter, start: run.Start, now: func() time.Time { return run.End }}
	err = w.write(run.Run, out)
	if err = errors.Join(err, lock.close()); err != nil {
		return nil, err
	}
	return out, failed(run.LeftOut, run.Asked)
}
