package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/tasks"
	"barka/internal/llm"
	"barka/internal/panics"
	"barka/internal/progress"
	"barka/internal/pyrandom"
)

// Options says what to evaluate and how.
type Options struct {
	// Tasks comes from tasks.ParseList.
	Tasks []tasks.Selection
	// DataDir holds the benchmark files in the hub's layout.
	DataDir string
	// Unavailable says of datasets why they could not be downloaded.
	Unavailable map[string]error
	// OutputDir receives results and details.
	OutputDir string
	// Store is the directory of the scores and answers, of any number of models
	// and runs, also at the same time; "" means cache in OutputDir.
	Store string
	// MaxSamples bounds the questions of a task; 0 means all.
	MaxSamples int
	// BatchSize is recorded as override_batch_size, and the token digests are
	// those of the reference at this size. It does not change how scores are
	// computed. 0 or less means automatic.
	BatchSize int
	// Border and AlGhafa default to what the tasks' version of the leaderboard
	// has: Joint and Texts in the first, Guarded and Indices in the second.
	Border  Border
	AlGhafa tasks.Choices
	// Judge marks the answers of judged tasks; without one these are skipped.
	Judge llm.Client
	// UseChatTemplate renders prompts as conversations; SystemPrompt opens them.
	UseChatTemplate bool
	SystemPrompt    string
	// Shard is the part of the questions to score. The files of a run that is
	// divided are written by Merge, from what its shards leave in OutputDir.
	Shard Shard
	// NoDetails leaves out the parquet file of every question.
	NoDetails bool
	// JobID is copied to config_general.
	JobID string
	// Committed, if not nil, is called when the files of all tasks are written, to
	// record that the evaluation is done. A run that was killed before it returned writes the
	// same files again, under the same names.
	Committed func(*Outcome) error
	// Workers bounds the goroutines that encode prompts; 0 means all CPUs.
	Workers int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log receives notes; nil discards them.
	Log *slog.Logger
}

// Validate refuses options that cannot be right.
func (o Options) Validate() error {
	switch {
	case len(o.Tasks) == 0:
		return badinput.Errorf("no tasks; --tasks oall runs all")
	case o.DataDir == "":
		return badinput.Errorf("no benchmark data; --data names the directory that holds OALL/Arabic_MMLU and the others")
	case o.MaxSamples < 0:
		return badinput.Errorf("--max-samples is %d, expected 0 (all) or more", o.MaxSamples)
	case o.Border != "" && !slices.Contains(Borders, o.Border):
		return badinput.Errorf("token border %q, expected one of %v", o.Border, Borders)
	case o.AlGhafa != "" && !slices.Contains(tasks.ChoicesOf, o.AlGhafa):
		return badinput.Errorf("AlGhafa's choices are %q, expected one of %v", o.AlGhafa, tasks.ChoicesOf)
	}
	for _, s := range o.Tasks {
		if s.Task.Board != o.board() {
			return fmt.Errorf("tasks of versions %s and %s of the leaderboard in one run", o.board(), s.Task.Board)
		}
	}
	return o.Shard.validate()
}

func (o Options) store() string {
	return cmp.Or(o.Store, filepath.Join(o.OutputDir, "cache"))
}

// board is the version of the leaderboard that all tasks are of.
func (o Options) board() tasks.Board { return o.Tasks[0].Task.Board }

// complete fills in what is left to the version of the leaderboard.
func (o *Options) complete() {
	border, choices := Joint, tasks.Texts
	if o.board() == tasks.V2 {
		border, choices = Guarded, tasks.Indices
	}
	o.Border, o.AlGhafa = cmp.Or(o.Border, border), cmp.Or(o.AlGhafa, choices)
}

func (o Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// sample is one question in one number of shots.
type sample struct {
	doc              tasks.Doc
	context          string
	asked, effective int
	requests         []Request
	first            int  // index of requests[0] among the run's requests
	elsewhere        bool // another shard's
	scores           []Score
	value            float64 // of the task's metric
	// answer and judgement are those of a judged task, which has no requests.
	answer, judgement string
}

// taskRun is a task in one number of shots.
type taskRun struct {
	task     tasks.Task
	shots    tasks.Shots
	original int // questions before MaxSamples
	samples  []sample
}

// name is the key in results: suite|task|shots.
func (r *taskRun) name() string { return fmt.Sprintf("%s|%d", r.task.Key(), r.shots.K) }

// Outcome is what a run produced.
type Outcome struct {
	// ResultsPath is lighteval's result file; DetailsDir holds a parquet file
	// a task; TablePath (Markdown), ExtraPath (JSON) and PagePath (HTML) are this
	// package's own files, with the leaderboard's table and the baselines.
	ResultsPath, DetailsDir, TablePath, ExtraPath, PagePath string
	Leaderboard                                             Leaderboard
	// Console is the markdown table lighteval prints.
	Console  string
	Failures []Failure
	// Skipped are tasks that the options leave no way to run.
	Skipped []Failure
	// ShardDir is what a shard leaves for Merge.
	ShardDir string
	// Scored and Reused count requests; Questions counts questions.
	Scored, Reused, Questions int
}

// Run evaluates a model. A task that cannot be run is left out and listed in
// the outcome's Failures, and Run then returns the outcome together with an
// error; the files of the other tasks are written. Scores are stored as they come,
// so that a run that was interrupted goes on where it stopped.
func Run(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*Outcome, error) {
	start := o.now()
	e, err := prepare(ctx, m, o, reporter)
	if err != nil {
		return nil, err
	}
	if len(e.runs) == 0 {
		return e.nothing()
	}
	if o.Shard.Count <= 1 {
		if err := e.checkOutput(); err != nil {
			return nil, err
		}
	}
	if e.claim, err = e.openClaim(); err != nil {
		return nil, err
	}
	out, err := e.run(ctx, start)
	if err == nil && o.Committed != nil && len(e.failures) == 0 {
		err = o.Committed(out)
	}
	if err == nil {
		err = e.claim.done()
	}
	if err = errors.Join(err, e.claim.close()); err != nil {
		return nil, err
	}
	return out, failed(e.failures, len(o.Tasks))
}

// run scores and writes what a shard or a whole run leaves.
func (e *evaluation) run(ctx context.Context, start time.Time) (*Outcome, error) {
	shard, err := e.openShard()
	if err != nil {
		return nil, err
	}
	if err := e.score(ctx); err != nil {
		return nil, err
	}
	out := &Outcome{Failures: e.failures, Skipped: e.skipped, Scored: e.scored, Reused: e.reused}
	if shard != nil {
		if out.ShardDir, out.Questions, err = shard.write(e, start, e.o.now()); err != nil {
			return nil, err
		}
	}
	if e.o.Shard.Count <= 1 {
		dir := out.ShardDir
		if out, err = e.finish(start); err != nil {
			return nil, err
		}
		out.ShardDir = dir
	}
	return out, nil
}

// finish measures what was scored and writes the files of a whole run.
func (e *evaluation) finish(start time.Time) (*Outcome, error) {
	if len(e.runs) == 0 {
		return &Outcome{Failures: e.failures, Skipped: e.skipped}, nil
	}
	for _, r := range e.runs {
		for i := range r.samples {
			if s := &r.samples[i]; r.task.Metric != tasks.Judged {
				s.value = float64(measure(r.task, s.doc, logProbs(s.scores)))
			}
		}
	}
	return e.write(start)
}

// evaluation is a run in progress.
type evaluation struct {
	m        Model
	o        Options
	progress progress.Reporter
	log      *slog.Logger
	runs     []*taskRun
	failures []Failure
	skipped  []Failure
	scored   int
	reused   int
	claim    *claim // nil where the shards of a run are merged
}

// prepare loads every task and encodes its prompts.
func prepare(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*evaluation, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.complete()
	if _, ok := m.(ChatTemplater); o.UseChatTemplate && !ok {
		return nil, badinput.Errorf("%s has no chat template; leave the option out", m.Name())
	}
	store, err := benchdata.Open(o.DataDir)
	if err != nil {
		return nil, err
	}
	e := &evaluation{m: m, o: o, progress: progress.OrSilent(reporter), log: o.Log}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.progress.Start("prompts", int64(len(o.Tasks)), "tasks")
	defer e.progress.Done()
	for _, selection := range o.Tasks {
		if err := e.unable(selection.Task); err != nil {
			e.skipped = append(e.skipped, Failure{Task: selection.Task.Key(), Err: err})
			e.log.Warn("task skipped", "task", selection.Task.Key(), "reason", err)
			continue
		}
		runs, err := e.prepareTask(ctx, store, selection)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			var missing *benchdata.Missing
			if errors.As(err, &missing) {
				missing.Why = o.Unavailable[missing.Repo]
			}
			e.leaveOut(Failure{Task: selection.Task.Key(), Err: err})
		}
		e.runs = append(e.runs, runs...)
		e.progress.Add(1)
	}
	e.tellMissing()
	e.divide()
	return e, nil
}

// unable says why a task cannot be run with these options.
func (e *evaluation) unable(t tasks.Task) error {
	_, generates := e.m.(Generator)
	switch {
	case t.Metric != tasks.Judged:
		return nil
	case e.o.Judge == nil:
		return badinput.Errorf("its answers are marked by a judge; name one with --judge-url and --judge-model")
	case !generates:
		return badinput.Errorf("its answers are texts, which %s does not write here", e.m.Name())
	}
	return nil
}

func (e *evaluation) prepareTask(ctx context.Context, store *benchdata.Store, selection tasks.Selection) ([]*taskRun, error) {
	t := selection.Task.Scoring(e.o.AlGhafa)
	rnd := pyrandom.New(tasks.SciQSeed)
	docs, err := questions(store, t, t.EvalSplit, rnd)
	if err != nil {
		return nil, err
	}
	unshuffled := slices.Clone(docs)
	original := len(docs)
	evaluationOrder(docs)
	if e.o.MaxSamples > 0 {
		docs = docs[:min(len(docs), e.o.MaxSamples)]
	}
	if t.Docs != original && t.Docs != 0 {
		e.log.Info("not the published number of questions", "task", t.Key(), "found", original, "published", t.Docs)
	}
	most := slices.MaxFunc(selection.Shots, func(a, b tasks.Shots) int { return cmp.Compare(a.K, b.K) })
	p := prompter{task: t, opts: e.o, m: e.m}
	if p.pool, err = pool(store, t, most.K, unshuffled, rnd); err != nil {
		return nil, err
	}
	var runs []*taskRun
	for _, shots := range selection.Shots {
		r := &taskRun{task: t, shots: shots, original: original}
		if r.samples, err = e.encode(ctx, &p, docs, shots); err != nil {
			return nil, err
		}
		if n := r.withoutTokens(); n > 0 {
			e.log.Warn("choices without a token of their own, because one spans the border to the prompt, have log-probability 0 as in the reference; --border guarded scores them",
				"task", t.Key(), "choices", n)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// withoutTokens counts the choices that have no token.
func (r *taskRun) withoutTokens() (n int) {
	for _, s := range r.samples {
		for _, req := range s.requests {
			n += count(len(req.Continuation) == 0)
		}
	}
	return n
}

// pool returns the few-shot examples of a task, in the order they are taken.
func pool(store *benchdata.Store, t tasks.Task, k int, evaluated []tasks.Doc, rnd *pyrandom.Random) ([]tasks.Doc, error) {
	if k == 0 {
		return nil, nil
	}
	docs := evaluated
	if split := t.ExampleSplit(); split != "" {
		var err error
		if docs, err = questions(store, t, split, rnd); err != nil {
			return nil, err
		}
	}
	if t.FewShotSplit == "" {
		return balanced(docs, k+1), checkPool(docs, k)
	}
	return docs, checkPool(docs, k)
}

// encode builds and encodes the prompts of a task on several goroutines.
func (e *evaluation) encode(ctx context.Context, p *prompter, docs []tasks.Doc, shots tasks.Shots) ([]sample, error) {
	out, errs := make([]sample, len(docs)), make([]error, len(docs))
	workers := e.o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg panics.Group
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(docs) && ctx.Err() == nil; i += workers {
				out[i], errs[i] = e.encodeOne(p, docs[i], shots)
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, badinput.Errorf("question %d in evaluation order: %w", i+1, err)
		}
	}
	return out, ctx.Err()
}

func (e *evaluation) encodeOne(p *prompter, doc tasks.Doc, shots tasks.Shots) (sample, error) {
	s := sample{doc: doc, asked: shots.K}
	var err error
	if s.context, s.effective, err = p.prompt(doc, shots); err != nil {
		return s, err
	}
	if p.task.Metric == tasks.Judged {
		return s, nil
	}
	s.requests, err = requests(e.m.Tokenizer(), e.o.Border, s.context, doc.Choices)
	return s, err
}

func logProbs(scores []Score) []float64 {
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = s.LogProb
	}
	return out
}

// ModelName is how the reference names a model: a hub id as it is, a
// directory with its slashes made underscores.
func ModelName(model string) string {
	info, err := os.Stat(model)
	if err == nil && info.IsDir() || filepath.IsAbs(model) || strings.HasPrefix(model, ".") {
		return strings.ReplaceAll(filepath.ToSlash(model), "/", "_")
	}
	return model
}

// FormatBytes writes a size as the reference does: two digits, units of 1024.
func FormatBytes(n int64) string {
	size := float64(n)
	for _, unit := range []string{"bytes", "KB", "MB", "GB"} {
		if size < 1024 {
			return formatRounded(size) + " " + unit
		}
		size /= 1024
	}
	return formatRounded(size) + " TB"
}
