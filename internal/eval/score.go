package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"barka/internal/badinput"
	"barka/internal/eval/record"
	"barka/internal/eval/store"
)

// isTaskError reports whether an error leaves out its task and does not end the run: a
// request that the model cannot answer, or a failure in a judged task.
func isTaskError(t *record.Task, err error) bool {
	var broken *requestError
	if errors.As(err, &broken) {
		return !broken.stop
	}
	var judge *judgeError
	return t.Judged() && (badinput.Is(err) || errors.As(err, &judge))
}

// score answers every request, from the store if possible. Equal requests are scored
// once; a third of ACVA's questions are repeated. The model gets all requests of a task
// at once, so that it can share their prefixes. A task with a score that is NaN or
// infinite is left out.
func (e *evaluation) score(ctx context.Context) (err error) {
	known, err := store.OpenScores(e.o.store(), e.modelIdentity(), e.o.Shard.Name())
	if err != nil {
		return err
	}
	e.warnBroken(known)
	defer func() {
		if closeErr := known.Close(); err == nil {
			err = closeErr
		}
	}()
	var scored []*record.Task
	for n, t := range e.run.Tasks {
		label := fmt.Sprintf("%s (%d of %d)", t.Task.Key(), n+1, len(e.run.Tasks))
		var err error
		if t.Judged() {
			err = e.judgeTask(ctx, t, e.own[n], label)
		} else {
			err = e.scoreTask(ctx, known, t, e.own[n], label)
		}
		if err != nil && (ctx.Err() != nil || !isTaskError(t, err)) {
			return fmt.Errorf("%s: %w", t.Task.Key(), err)
		}
		if err != nil {
			f := Failure{Task: t.Task.Key(), Err: err, Questions: t}
			if broken := (*requestError)(nil); errors.As(err, &broken) {
				f.First = broken.question
			}
			e.recordFailure(f)
			continue
		}
		scored = append(scored, t)
	}
	e.run.Tasks = scored
	return nil
}

// modelIdentity returns the model's name in the store.
func (e *evaluation) modelIdentity() string {
	return store.ModelIdentity(e.run.Model.Info, e.run.Model.MaxLength)
}

// warnBroken reports the lines of a log that could not be read.
func (e *evaluation) warnBroken(log interface{ Broken() (string, int) }) {
	if path, n := log.Broken(); n > 0 {
		e.log.Warn("bad lines in the store are skipped (a killed process leaves one); their requests are scored again",
			"file", path, "lines", n)
	}
}

// pending is a request without a score in the store.
type pending struct {
	Request
	key      record.Key
	question int // in evaluation order
}

// scoreTask scores the requests of a task that have no score in the store, and then sets
// the answers.
func (e *evaluation) scoreTask(ctx context.Context, known *store.Scores, t *record.Task, own []int, label string) error {
	var todo []pending
	seen := map[record.Key]bool{}
	all := 0
	for _, i := range own {
		for _, req := range t.Questions[i].Requests {
			if len(req.Continuation) == 0 {
				continue
			}
			all++
			key := record.KeyOf(req)
			if _, done := known.Get(key); done || seen[key] {
				continue
			}
			seen[key] = true
			todo = append(todo, pending{req, key, i})
		}
	}
	e.run.Scored += len(todo)
	e.run.Reused += all - len(todo)
	if err := e.scoreMissing(ctx, known, todo, label); err != nil {
		return err
	}
	for _, i := range own {
		q := &t.Questions[i]
		q.Answer = &record.Answer{Scores: make([]Score, len(q.Requests))}
		for c, req := range q.Requests {
			if len(req.Continuation) == 0 {
				q.Answer.Scores[c] = Score{Greedy: true} // a sum without terms
				continue
			}
			q.Answer.Scores[c], _ = known.Get(record.KeyOf(req))
		}
	}
	return nil
}

// scoreMissing scores requests and stores every score as it arrives. If requests fail,
// it returns the error of the earliest question, so that the error does not depend on
// timing: after a failure, earlier questions are still scored.
func (e *evaluation) scoreMissing(ctx context.Context, known *store.Scores, todo []pending, label string) error {
	if len(todo) == 0 {
		return nil
	}
	e.progress.Start(label, int64(len(todo)), "choices")
	defer e.progress.Done()
	var first error
	for len(todo) > 0 {
		err := e.ask(ctx, known, todo)
		var r *requestError
		if err == nil || !errors.As(err, &r) || r.stop {
			return cmp.Or(err, first)
		}
		first = err
		todo = slices.DeleteFunc(todo, func(p pending) bool {
			_, done := known.Get(p.key)
			return done || p.question >= r.question
		})
	}
	return first
}

// ask passes requests to the model and stores the scores.
func (e *evaluation) ask(ctx context.Context, known *store.Scores, todo []pending) error {
	reqs := make([]Request, len(todo))
	for i, p := range todo {
		reqs[i] = p.Request
	}
	var mu sync.Mutex
	answered := 0
	err := e.m.Score(ctx, reqs, func(i int, s Score) error {
		mu.Lock()
		defer mu.Unlock()
		if err := todo[i].check(s); err != nil {
			return err
		}
		answered++
		e.progress.Add(1)
		return known.Put(todo[i].key, s)
	})
	if err == nil && answered != len(todo) {
		return fmt.Errorf("the model gave %d scores for %d requests", answered, len(todo))
	}
	return ofQuestion(todo, err)
}

// check returns an error for a score that is NaN or infinite.
func (p pending) check(s Score) error {
	if math.IsNaN(s.LogProb) || math.IsInf(s.LogProb, 0) {
		return &requestError{question: p.question, err: badinput.Errorf("a choice has log-probability %g; the weights are "+
			"damaged, or overflow in this type (try --dtype f32)", s.LogProb)}
	}
	return nil
}

// ofQuestion turns the error of a request into an error of its question.
func ofQuestion(todo []pending, err error) error {
	var r *RequestError
	if errors.As(err, &r) && r.Index >= 0 && r.Index < len(todo) {
		return &requestError{todo[r.Index].question, r.Err, r.Stop}
	}
	return err
}

// requestError is the error of a request, with its question.
type requestError struct {
	question int // in evaluation order, counted from 0
	err      error
	stop     bool // the other tasks would fail too
}

func (r *requestError) Error() string {
	return fmt.Sprintf("question %d in evaluation order: %v", r.question+1, r.err)
}

func (r *requestError) Unwrap() error { return r.err }
