package recipe

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"barka/internal/dataset"
	"barka/internal/eval"
	"barka/internal/stage/train"
)

// Step is a finished stage. Its JSON form is the event "stage" of --json. One of Made,
// Trained and Evaluated adds its fields; merge and report have none.
type Step struct {
	Stage   string  `json:"stage"`
	Out     string  `json:"out"`
	Seconds float64 `json:"seconds"`
	// Notes are warnings about the output.
	Notes []string `json:"notes,omitempty"`
	*Made
	*Trained
	*Evaluated
}

// Made describes the dataset that a stage wrote.
type Made struct {
	Rows     int64 `json:"rows"`
	Rejected int64 `json:"rejected"`
	// Reasons counts the rejected rows by their reason.
	Reasons map[string]int64 `json:"reasons,omitempty"`
	// Counts are the counts of the manifest.
	Counts map[string]int64 `json:"counts,omitempty"`
	Tokens map[string]int64 `json:"tokens,omitempty"`
}

// Trained describes a training.
type Trained struct {
	Steps      int   `json:"steps"`
	Loss       Loss  `json:"loss"`
	Parameters int64 `json:"trainable_parameters"`
	// Dropped counts the conversations that could not be trained on, by reason.
	Dropped map[string]int `json:"dropped,omitempty"`
}

// Loss is a mean over trained tokens. BestValidation is nil without a
// validation set.
type Loss struct {
	First          float64  `json:"first"`
	Last           float64  `json:"last"`
	BestValidation *float64 `json:"best_validation,omitempty"`
}

// Evaluated describes an evaluation.
type Evaluated struct {
	Questions int `json:"questions"`
	Scored    int `json:"requests_scored"`
	Reused    int `json:"requests_reused"`
	// Average is the leaderboard's, in percent; nil if not all of its tasks were
	// run.
	Average *float64 `json:"average,omitempty"`
	Scores  []Score  `json:"scores"`
	Results string   `json:"results,omitempty"`
	// Before is set if an earlier run did all of the work.
	Before bool `json:"done_before,omitempty"`
}

// Score is the score of a task by its own metric, from 0 to 1.
type Score struct {
	Task      string   `json:"task"`
	Metric    string   `json:"metric"`
	Value     *float64 `json:"value"` // nil if it is NaN or infinite
	Questions int      `json:"questions"`
}

// DatasetStep returns the step of a stage that wrote a dataset.
func DatasetStep(stage, out string, m *dataset.Manifest, took time.Duration) Step {
	made := &Made{Rows: m.Rows, Rejected: m.Counts["rejected"], Counts: m.Counts, Tokens: m.Tokens, Reasons: map[string]int64{}}
	for name, n := range m.Counts {
		if reason, ok := strings.CutPrefix(name, "rejected_"); ok {
			made.Reasons[reason] = n
		}
	}
	return Step{Stage: stage, Out: out, Seconds: took.Seconds(), Notes: m.Notes, Made: made}
}

// TrainStep returns the step of a training.
func TrainStep(out string, s *train.State, took time.Duration) Step {
	t := &Trained{Steps: s.Steps, Loss: Loss{s.FirstLoss, s.FinalLoss, s.BestVal}, Parameters: s.Parameters}
	var notes []string
	if d := s.Data; d != nil {
		t.Dropped = d.Dropped
		dropped := 0
		for _, n := range d.Dropped {
			dropped += n
		}
		if dropped > 0 {
			notes = append(notes, fmt.Sprintf("%d of %d conversations could not be trained on: %s", dropped, d.Rows, reasons(d.Dropped)))
		}
		if d.Cut > 0 {
			notes = append(notes, fmt.Sprintf("%d of %d conversations were cut to max_length", d.Cut, d.Rows))
		}
	}
	return Step{Stage: "train", Out: out, Seconds: took.Seconds(), Notes: notes, Trained: t}
}

// EvalStep returns the step of an evaluation.
func EvalStep(stage, out string, o *eval.Outcome, took time.Duration) Step {
	e := &Evaluated{Questions: o.Questions, Scored: o.Scored, Reused: o.Reused, Results: o.ResultsPath, Scores: []Score{}}
	if len(o.Leaderboard.Rows) > 0 {
		e.Average = finite(o.Leaderboard.Average)
	}
	for _, t := range o.Leaderboard.Tasks {
		e.Scores = append(e.Scores, Score{t.Task, t.Metric, finite(t.Score), t.Questions})
	}
	var notes []string
	for _, f := range o.Skipped {
		notes = append(notes, fmt.Sprintf("%s is skipped: %v", f.Task, f.Err))
	}
	return Step{Stage: stage, Out: out, Seconds: took.Seconds(), Notes: notes, Evaluated: e}
}

// reasons lists counts with their names.
func reasons[N int | int64](counts map[string]N) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(list, ", ")
}

// finite returns nil for NaN and the infinities, which JSON cannot hold.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Text returns a phrase about what the stage made.
func (s Step) Text() string {
	switch {
	case s.Made != nil && s.Rejected > 0:
		return fmt.Sprintf("%d rows, %d rejected", s.Rows, s.Rejected)
	case s.Made != nil:
		return fmt.Sprintf("%d rows", s.Rows)
	case s.Trained != nil:
		text := fmt.Sprintf("%d steps, loss %.3f to %.3f", s.Steps, s.Loss.First, s.Loss.Last)
		if best := s.Loss.BestValidation; best != nil {
			text += fmt.Sprintf(", best validation loss %.3f", *best)
		}
		return text
	case s.Evaluated != nil && s.Before:
		return "done before"
	case s.Evaluated != nil:
		return fmt.Sprintf("%d questions, %d requests scored, %d reused", s.Evaluated.Questions, s.Scored, s.Reused)
	}
	return ""
}
