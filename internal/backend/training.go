package backend

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/eval"
	"barka/internal/eval/tasks"
	"barka/internal/model"
	"barka/internal/progress"
	"barka/internal/stage/train"
)

// Training is the input of a training run on a model of this machine. The caller adds the data.
type Training struct {
	train.Input
	engine *Engine
	name   string
	opened *Decoder // or nil
}

// Training returns the input of a run that trains a model. The weights are read when the run
// opens it. If o names tasks for evaluations during the run, their benchmark files are in
// benchmarks.
func (e *Engine) Training(name string, o train.Options, benchmarks string) (*Training, error) {
	t := &Training{engine: e, name: name}
	t.Measure = e.Measure(name)
	e.train(&t.Input)
	t.Open = func() (m model.Decoder, err error) {
		if t.opened, err = e.OpenDecoder(name, ""); err != nil {
			return nil, err
		}
		return t.opened.Model, nil
	}
	if o.Eval == "" {
		return t, nil
	}
	selection, err := tasks.ParseList(o.Eval)
	if err != nil {
		return nil, badinput.Errorf("train: eval: %w", err)
	}
	t.Evaluator = &liveEvaluation{t, eval.Options{Tasks: selection, DataDir: cmp.Or(o.EvalData, benchmarks), MaxSamples: o.EvalMaxSamples,
		NoDetails: true}}
	return t, nil
}

// Close closes the model if it was opened.
func (t *Training) Close() error {
	if t.opened == nil {
		return nil
	}
	return t.opened.Close()
}

// liveEvaluation is a train.Evaluator: it evaluates the opened model with the adapter that is
// being trained.
type liveEvaluation struct {
	t *Training
	o eval.Options
}

// Work implements train.Evaluator. It loads all questions.
func (l *liveEvaluation) Work(ctx context.Context) (w train.Work, err error) {
	m, err := l.t.engine.UnloadedModel(l.t.name, "")
	if err != nil {
		return w, err
	}
	plan, err := eval.Estimate(ctx, m, l.o, progress.Silent)
	if err != nil {
		return w, err
	}
	for _, task := range plan.Tasks {
		w.Tokens += task.Run
	}
	need := m.Memory(plan)
	w.Memory = need.Kept + need.Pass
	return w, nil
}

// Evaluate implements train.Evaluator. Scores of the same adapter are reused.
func (l *liveEvaluation) Evaluate(ctx context.Context, adapter, dir string) (*train.Scores, error) {
	if l.t.opened == nil {
		return nil, errors.New("backend: the trained model is not opened")
	}
	m, err := l.t.opened.EvalModel()
	if err != nil {
		return nil, err
	}
	m.info.AdapterDigest = adapter
	o := l.o
	o.OutputDir, o.Store = dir, filepath.Join(dir, "scores")
	out, err := eval.Run(ctx, m, o, progress.Silent)
	if err != nil {
		return nil, err
	}
	return scoresOf(out), nil
}

// scoresOf returns the rows of the leaderboard's table that have a score, and the tasks that
// belong to no row.
func scoresOf(out *eval.Outcome) *train.Scores {
	s := &train.Scores{Questions: out.Questions, Scores: map[string]float64{}}
	table := out.Leaderboard
	for _, row := range table.Rows {
		if row.Run > 0 {
			s.Scores[row.Name] = row.Score / 100
		}
	}
	for _, t := range table.Tasks {
		key := t.Task[:strings.LastIndex(t.Task, "|")] // without the number of shots
		if !slices.ContainsFunc(table.Version.TableRows(), func(r tasks.TableRow) bool { return r.Includes(key) }) {
			s.Scores[t.Task] = t.Score
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Scores)) { // one order, for one sum
		s.Mean += s.Scores[name] / float64(len(s.Scores))
	}
	return s
}
