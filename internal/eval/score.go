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
	"barka/internal/eval/tasks"
)

// leavesOut tells an error that leaves out its task from one that ends the
// run: a request that the model cannot answer, or trouble of a judged task.
func leavesOut(r *taskRun, err error) bool {
	var broken *requestError
	if errors.As(err, &broken) {
		return !broken.stop
	}
	var judge *judgeError
	return r.task.Metric == tasks.Judged && (badinput.Is(err) || errors.As(err, &judge))
}

// score answers every request, from the journal where it can. Equal requests
// (ACVA repeats a third of its questions) are asked once, and a task's together
// so that the model can share their beginnings. A task whose scores are no
// numbers is left out.
func (e *evaluation) score(ctx context.Context) (err error) {
	j, err := openJournal(e.o.store(), identity(e.m.Info(), e.m.MaxLength()), e.o.Shard)
	if err != nil {
		return err
	}
	e.tellBroken(j.lines)
	defer func() {
		if closeErr := j.close(); err == nil {
			err = closeErr
		}
	}()
	var scored []*taskRun
	first := 0
	for n, r := range e.runs {
		err := e.scoreTask(ctx, j, r, n)
		if err != nil && (ctx.Err() != nil || !leavesOut(r, err)) {
			return fmt.Errorf("%s: %w", r.task.Key(), err)
		}
		if err != nil {
			f := Failure{Task: r.task.Key(), Err: err, run: r}
			if broken := (*requestError)(nil); errors.As(err, &broken) {
				f.question = broken.question
			}
			e.leaveOut(f)
			continue
		}
		for i := range r.samples {
			r.samples[i].first = first
			first += len(r.samples[i].requests)
		}
		scored = append(scored, r)
	}
	e.runs = scored
	return nil
}

// tellBroken notes what of a store could not be read.
func (e *evaluation) tellBroken(l *lines) {
	if l.broken > 0 {
		e.log.Warn("broken lines in the store are ignored, as a stopped process leaves one; what they held is done again", "file", l.file.Name(), "lines", l.broken)
	}
}

// pending is a request that the journal does not answer.
type pending struct {
	Request
	key      requestKey
	question int // in evaluation order
}

// scoreTask scores what the journal lacks of a task, then fills its samples.
func (e *evaluation) scoreTask(ctx context.Context, j *journal, r *taskRun, n int) error {
	label := fmt.Sprintf("%s (%d of %d)", r.task.Key(), n+1, len(e.runs))
	if r.task.Metric == tasks.Judged {
		return e.judgeTask(ctx, r, label)
	}
	var todo []pending
	asked := map[requestKey]bool{}
	all := 0
	for q, s := range r.samples {
		if s.elsewhere {
			continue
		}
		for _, req := range s.requests {
			if len(req.Continuation) == 0 {
				continue
			}
			all++
			key := req.key()
			if _, done := j.scores[key]; done || asked[key] {
				continue
			}
			asked[key] = true
			todo = append(todo, pending{req, key, q})
		}
	}
	e.scored += len(todo)
	e.reused += all - len(todo)
	if err := e.scoreMissing(ctx, j, todo, label); err != nil {
		return err
	}
	for i := range r.samples {
		s := &r.samples[i]
		if s.elsewhere {
			continue
		}
		s.scores = make([]Score, len(s.requests))
		for c, req := range s.requests {
			if s.scores[c] = j.scores[req.key()]; len(req.Continuation) == 0 {
				s.scores[c] = Score{Greedy: true} // a sum of nothing
			}
		}
	}
	return nil
}

// scoreMissing keeps every score as it comes. Of questions that have none it
// returns the first in evaluation order, whatever the order of the answers:
// after an error it asks on for the questions before it.
func (e *evaluation) scoreMissing(ctx context.Context, j *journal, todo []pending, label string) error {
	if len(todo) == 0 {
		return nil
	}
	e.progress.Start(label, int64(len(todo)), "choices")
	defer e.progress.Done()
	var first error
	for len(todo) > 0 {
		err := e.ask(ctx, j, todo)
		var r *requestError
		if err == nil || !errors.As(err, &r) || r.stop {
			return cmp.Or(err, first)
		}
		first = err
		todo = slices.DeleteFunc(todo, func(p pending) bool {
			_, done := j.scores[p.key]
			return done || p.question >= r.question
		})
	}
	return first
}

func (e *evaluation) ask(ctx context.Context, j *journal, todo []pending) error {
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
		return j.put(todo[i].key, s)
	})
	if err == nil && answered != len(todo) {
		return fmt.Errorf("the model gave %d scores for %d requests", answered, len(todo))
	}
	return ofQuestion(todo, err)
}

// check refuses a score that is no number.
func (p pending) check(s Score) error {
	if math.IsNaN(s.LogProb) || math.IsInf(s.LogProb, 0) {
		return &requestError{question: p.question, err: badinput.Errorf("a choice has log-probability %g; the weights are broken or overflow in this type of number (try --dtype f32)", s.LogProb)}
	}
	return nil
}

// ofQuestion turns the error of a request into that of its question.
func ofQuestion(todo []pending, err error) error {
	var r *RequestError
	if errors.As(err, &r) && r.Index >= 0 && r.Index < len(todo) {
		return &requestError{todo[r.Index].question, r.Err, r.Stop}
	}
	return err
}

// requestError is a question of which a choice has no score.
type requestError struct {
	question int // in evaluation order, counted from 0
	err      error
	stop     bool // the other tasks would fare alike
}

func (r *requestError) Error() string {
	return fmt.Sprintf("question %d in evaluation order: %v", r.question+1, r.err)
}

func (r *requestError) Unwrap() error { return r.err }
