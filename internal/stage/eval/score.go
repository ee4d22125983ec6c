package eval

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// chunkTokens bounds what is scored between two entries in the journal.
const chunkTokens = 8192

// score answers every request, from the journal where it can. Equal requests
// (ACVA repeats a third of its questions) are asked once, and a question's
// choices stay together so that the model can share their prefix.
func (e *evaluation) score(ctx context.Context) (err error) {
	j, err := openJournal(filepath.Join(e.o.OutputDir, "cache"), journalName(e.m.Info(), e.o.maxLength(e.m)))
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := j.close(); err == nil {
			err = closeErr
		}
	}()
	first := 0
	for _, r := range e.runs {
		for i := range r.samples {
			r.samples[i].first = first
			first += len(r.samples[i].requests)
		}
	}
	for n, r := range e.runs {
		if err := e.scoreTask(ctx, j, r, n); err != nil {
			return err
		}
	}
	return nil
}

// scoreTask scores what the journal lacks of a task, then fills its samples.
func (e *evaluation) scoreTask(ctx context.Context, j *journal, r *taskRun, n int) error {
	var todo []Request
	var keys []requestKey
	asked := map[requestKey]bool{}
	all := 0
	for _, s := range r.samples {
		for _, req := range s.requests {
			all++
			key := req.key()
			if _, done := j.scores[key]; done || asked[key] {
				continue
			}
			asked[key] = true
			todo, keys = append(todo, req), append(keys, key)
		}
	}
	e.scored += len(todo)
	e.reused += all - len(todo)
	if err := e.scoreMissing(ctx, j, todo, keys, fmt.Sprintf("%s (%d of %d)", r.task.Key(), n+1, len(e.runs))); err != nil {
		return fmt.Errorf("%s: %w", r.task.Key(), err)
	}
	for i := range r.samples {
		s := &r.samples[i]
		s.scores = make([]Score, len(s.requests))
		for c, req := range s.requests {
			s.scores[c] = j.scores[req.key()]
		}
	}
	return nil
}

func (e *evaluation) scoreMissing(ctx context.Context, j *journal, todo []Request, keys []requestKey, label string) error {
	if len(todo) == 0 {
		return nil
	}
	e.progress.Start(label, int64(len(todo)), "choices")
	defer e.progress.Done()
	for len(todo) > 0 {
		n := chunk(todo)
		scores, err := e.m.Score(ctx, todo[:n], func(n int) { e.progress.Add(int64(n)) })
		if err != nil {
			return err
		}
		if len(scores) != n {
			return fmt.Errorf("the model gave %d scores for %d requests", len(scores), n)
		}
		if err := j.put(keys[:n], scores); err != nil {
			return err
		}
		todo, keys = todo[n:], keys[n:]
	}
	return nil
}

// chunk is the number of requests to score next: up to chunkTokens, one
// question at least, never half a question.
func chunk(todo []Request) int {
	tokens := 0
	for i, r := range todo {
		newQuestion := i > 0 && !slices.Equal(r.Context, todo[i-1].Context)
		if newQuestion && tokens+r.inputLength() > chunkTokens {
			return i
		}
		tokens += r.inputLength()
	}
	return len(todo)
}
