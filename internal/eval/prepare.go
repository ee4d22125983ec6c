package eval

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/eval/prompt"
	"barka/internal/eval/record"
	"barka/internal/eval/shard"
	"barka/internal/eval/tasks"
	"barka/internal/panics"
	"barka/internal/progress"
	"barka/internal/pyrandom"
)

// prepare loads every task, encodes its prompts and divides the questions.
func prepare(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*evaluation, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.applyDefaults()
	if _, ok := m.(ChatTemplater); o.UseChatTemplate && !ok {
		return nil, badinput.Errorf("%s has no chat template; leave out --use-chat-template", m.Name())
	}
	data, err := benchdata.Open(o.DataDir)
	if err != nil {
		return nil, err
	}
	data.Pin(o.Revisions)
	e := &evaluation{m: m, o: o, progress: progress.OrSilent(reporter), log: o.Log, run: &record.Run{Model: describe(m),
		Settings: o.settings()}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.progress.Start("prompts", int64(len(o.Tasks)), "tasks")
	defer e.progress.Done()
	for _, selection := range o.Tasks {
		key := selection.Task.Key()
		if err := e.skipReason(selection.Task); err != nil {
			e.run.Skipped = append(e.run.Skipped, Failure{Task: key, Err: err})
			e.log.Warn("task skipped", "task", key, "reason", err)
			continue
		}
		loaded, err := e.prepareTask(ctx, data, selection)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			var missing *benchdata.Missing
			if errors.As(err, &missing) {
				missing.Why = o.DownloadErrors[missing.Repo]
			}
			e.recordFailure(Failure{Task: key, Err: err})
		}
		e.run.Tasks = append(e.run.Tasks, loaded...)
		e.progress.Add(1)
	}
	e.warnMissing()
	e.own = shard.Divide(e.run.Tasks, o.Shard, e.cost)
	return e, nil
}

// skipReason returns the reason why the options do not allow a task, or nil.
func (e *evaluation) skipReason(t tasks.Task) error {
	_, generates := e.m.(Generator)
	switch {
	case t.Metric != tasks.Judged:
		return nil
	case e.o.Judge == nil:
		return badinput.Errorf("a judge marks its answers; name one with --judge-url and --judge-model")
	case !generates:
		return badinput.Errorf("its answers are generated texts, which barka does not request of %s", e.m.Name())
	}
	return nil
}

// prepareTask loads a task and encodes it in each number of shots.
func (e *evaluation) prepareTask(ctx context.Context, data *benchdata.Store, selection tasks.Selection) ([]*record.Task, error) {
	t := selection.Task.Scoring(e.o.AlGhafa)
	rnd := pyrandom.New(tasks.SciQSeed)
	docs, err := prompt.Questions(data, t, t.EvalSplit, rnd)
	if err != nil {
		return nil, err
	}
	unshuffled := slices.Clone(docs)
	original := len(docs)
	prompt.EvaluationOrder(docs)
	if e.o.MaxSamples > 0 {
		docs = docs[:min(len(docs), e.o.MaxSamples)]
	}
	if t.Docs != original && t.Docs != 0 {
		e.log.Info("the number of questions is not the published one", "task", t.Key(), "found", original, "published", t.Docs)
	}
	b := prompt.Builder{Task: t, Tokenizer: e.m.Tokenizer(), MaxLength: e.m.MaxLength(), SystemPrompt: e.o.SystemPrompt}
	if e.o.UseChatTemplate {
		b.Chat = e.m.(ChatTemplater)
	}
	most := slices.MaxFunc(selection.Shots, func(a, b tasks.Shots) int { return cmp.Compare(a.K, b.K) })
	if b.Examples, err = prompt.Examples(data, t, most.K, unshuffled, rnd); err != nil {
		return nil, err
	}
	var out []*record.Task
	for _, shots := range selection.Shots {
		r := &record.Task{Task: t, Shots: shots, Original: original}
		if r.Questions, err = e.encode(ctx, &b, docs, shots); err != nil {
			return nil, err
		}
		if n := countEmptyChoices(r); n > 0 {
			e.log.Warn("choices whose only token spans the boundary to the prompt have log-probability 0, as in "+
				"the reference; --token-boundary guarded scores them",
				"task", t.Key(), "choices", n)
		}
		out = append(out, r)
	}
	return out, nil
}

// countEmptyChoices counts the choices without a token.
func countEmptyChoices(t *record.Task) (n int) {
	for _, q := range t.Questions {
		for _, r := range q.Requests {
			if len(r.Continuation) == 0 {
				n++
			}
		}
	}
	return n
}

// encode builds and encodes the prompts of a task on several goroutines.
func (e *evaluation) encode(ctx context.Context, b *prompt.Builder, docs []tasks.Doc, shots tasks.Shots) ([]record.Question, error) {
	out, errs := make([]record.Question, len(docs)), make([]error, len(docs))
	workers := e.o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg panics.Group
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(docs) && ctx.Err() == nil; i += workers {
				out[i], errs[i] = e.encodeOne(b, docs[i], shots)
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

func (e *evaluation) encodeOne(b *prompt.Builder, doc tasks.Doc, shots tasks.Shots) (record.Question, error) {
	q := record.Question{Doc: doc}
	var err error
	if q.Context, q.EffectiveShots, err = b.Prompt(doc, shots); err != nil {
		return q, err
	}
	if b.Task.Metric == tasks.Judged {
		return q, nil
	}
	q.Requests, err = prompt.Requests(b.Tokenizer, e.o.TokenBoundary, q.Context, doc.Choices)
	return q, err
}
