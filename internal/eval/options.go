package eval

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/record"
	"barka/internal/eval/shard"
	"barka/internal/eval/tasks"
	"barka/internal/llm"
)

// Options holds the settings of an evaluation.
type Options struct {
	// Tasks is a result of tasks.ParseList.
	Tasks []tasks.Selection
	// DataDir holds the benchmark files in the hub's layout.
	DataDir string
	// Revisions pins snapshots of the datasets in DataDir, if that is the hub's cache.
	Revisions benchdata.Revisions
	// DownloadErrors holds the reasons why datasets could not be downloaded, by
	// repository.
	DownloadErrors map[string]error
	// OutputDir receives results and details.
	OutputDir string
	// Store is the directory of the scores and answers. Any number of models and
	// runs may share it, also at the same time. Empty means cache in OutputDir.
	Store string
	// MaxSamples bounds the questions of a task; 0 means all.
	MaxSamples int
	// BatchSize is recorded as override_batch_size. The token digests equal those
	// of the reference at this size; scores do not depend on it. 0 or less means
	// automatic.
	BatchSize int
	// TokenBoundary and AlGhafa default to those of the tasks' version of the
	// leaderboard: Joint and Texts in version 1, Guarded and Indices in version 2.
	TokenBoundary record.TokenBoundary
	AlGhafa       tasks.ChoiceFormat
	// Judge marks the answers of judged tasks; without one these are skipped.
	Judge llm.Client
	// UseChatTemplate renders prompts as conversations, which SystemPrompt opens.
	UseChatTemplate bool
	SystemPrompt    string
	// Shard selects the questions to score. Merge writes the files of a divided run,
	// from the files of its shards in OutputDir.
	Shard shard.Shard
	// NoDetails omits the Parquet files that hold every question.
	NoDetails bool
	// JobID is copied to config_general.
	JobID string
	// Committed, if not nil, is called when the files of all tasks are written, so
	// that the caller can record the end of the evaluation. If the run is killed
	// before Committed returns, the next run writes the same files again under the
	// same names.
	Committed func(*Outcome) error
	// Workers bounds the goroutines that encode prompts; 0 means one per core.
	Workers int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log receives notes; nil discards them.
	Log *slog.Logger
}

// Validate returns an error for options that cannot be right.
func (o Options) Validate() error {
	switch {
	case len(o.Tasks) == 0:
		return badinput.Errorf("no tasks are selected; --tasks oall runs all")
	case o.DataDir == "":
		return badinput.Errorf("no benchmark data is given; set --data to the directory of OALL/Arabic_MMLU and the other benchmarks")
	case o.MaxSamples < 0:
		return badinput.Errorf("--max-samples is %d, expected 0 (all) or more", o.MaxSamples)
	case o.TokenBoundary != "" && !slices.Contains(record.TokenBoundaries, o.TokenBoundary):
		return badinput.Errorf("--token-boundary is %q, expected one of %v", o.TokenBoundary, record.TokenBoundaries)
	case o.AlGhafa != "" && !slices.Contains(tasks.ChoiceFormats, o.AlGhafa):
		return badinput.Errorf("--alghafa is %q, expected one of %v", o.AlGhafa, tasks.ChoiceFormats)
	}
	for _, s := range o.Tasks {
		if s.Task.Leaderboard != o.leaderboard() {
			return fmt.Errorf("the tasks belong to versions %s and %s of the leaderboard; run them separately", o.leaderboard(), s.Task.Leaderboard)
		}
	}
	return o.Shard.Validate()
}

// Needs returns the splits that the tasks read.
func (o Options) Needs() []benchdata.Need {
	var needs []benchdata.Need
	for _, s := range o.Tasks {
		t := s.Task
		if t.Metric == tasks.Judged && (o.Judge == nil || o.Shard.Count > 0) {
			continue // the task is skipped
		}
		needs = append(needs, benchdata.Need{Repo: t.Repo, Subset: t.Subset, Split: t.EvalSplit})
		if split := t.ExampleSplit(); split != "" && slices.ContainsFunc(s.Shots, func(s tasks.Shots) bool { return s.K > 0 }) {
			needs = append(needs, benchdata.Need{Repo: t.Repo, Subset: t.Subset, Split: split})
		}
	}
	return needs
}

func (o Options) store() string {
	return cmp.Or(o.Store, filepath.Join(o.OutputDir, "cache"))
}

// leaderboard returns the version to which all tasks belong.
func (o Options) leaderboard() tasks.Leaderboard { return o.Tasks[0].Task.Leaderboard }

// applyDefaults sets the options that depend on the version of the leaderboard.
func (o *Options) applyDefaults() {
	boundary, choices := record.Joint, tasks.Texts
	if o.leaderboard() == tasks.V2 {
		boundary, choices = record.Guarded, tasks.Indices
	}
	o.TokenBoundary, o.AlGhafa = cmp.Or(o.TokenBoundary, boundary), cmp.Or(o.AlGhafa, choices)
}

// settings returns the options that the files of the run depend on.
func (o Options) settings() record.Settings {
	s := record.Settings{MaxSamples: o.MaxSamples, BatchSize: o.BatchSize, Leaderboard: o.leaderboard(),
		Boundary: o.TokenBoundary, AlGhafa: o.AlGhafa,
		UseChatTemplate: o.UseChatTemplate, SystemPrompt: o.SystemPrompt, NoDetails: o.NoDetails, JobID: o.JobID}
	if o.Judge != nil {
		s.Judge = o.Judge.Name()
	}
	return s
}

func (o Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}
