package eval

import (
	"context"
	"time"

	"barka/internal/eval/record"
	"barka/internal/progress"
	"barka/internal/score"
)

// TaskEstimate is the amount of work of a task.
type TaskEstimate struct {
	Task                string
	Questions, Requests int
	// Tokens counts the input tokens of all requests. SharedTokens counts the
	// same, a prefix common to one question's choices once. Run counts prefixes
	// common to several questions once too.
	Tokens, SharedTokens, Run int64
	// Cut counts requests that exceed the model's length.
	Cut int
}

// WorkEstimate is the amount of work of a run.
type WorkEstimate struct {
	Tasks []TaskEstimate
	// LargestPass is the largest number of tokens in one pass of the model, and
	// LargestHead the largest number of predictions that one pass is asked for. Kept
	// is the largest number of tokens whose keys and values one pass keeps for the
	// next.
	LargestPass, LargestHead, Kept int
	// TokensPerSecond is the speed that Measure found on a question of ProbeTokens
	// tokens, or 0 if it was not measured.
	TokensPerSecond float64
	ProbeTokens     int64

	probe []Request
}

// probeTokens is the desired length of the question on which the speed is measured.
const probeTokens = 512

// Estimate loads and encodes everything and counts the work, for a dry run. It does not
// run the model. Like Run, it returns its result together with the error about tasks
// that cannot be loaded.
func Estimate(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*WorkEstimate, error) {
	e, err := prepare(ctx, m, o, reporter)
	if err != nil {
		return nil, err
	}
	plan := new(WorkEstimate)
	for i, t := range e.run.Tasks {
		if len(e.own[i]) == 0 {
			continue
		}
		estimate, err := plan.task(m, t, e.own[i])
		if err != nil {
			return nil, err
		}
		plan.Tasks = append(plan.Tasks, estimate)
	}
	if len(plan.Tasks) == 0 {
		return plan, failed(e.run.Failures(), len(o.Tasks))
	}
	return plan, failed(e.run.LeftOut, len(o.Tasks))
}

// task estimates the own questions of a task. One of them becomes the probe if its
// length is nearer to the desired one.
func (p *WorkEstimate) task(m Model, r *record.Task, own []int) (TaskEstimate, error) {
	t := TaskEstimate{Task: r.Name(), Questions: len(own)}
	var all []Request
	seen := map[record.Key]bool{}
	for _, i := range own {
		q := &r.Questions[i]
		reqs, before := q.Requests, t.SharedTokens
		if r.Judged() {
			// The probe reads as many tokens, which takes less time than generating
			// them.
			ids := m.Tokenizer().Encode(q.Context, true)
			reqs = []Request{{Context: ids[:len(ids)-1], Continuation: ids[len(ids)-1:]}}
			t.addAnswer(len(ids), *r.Task.GenerationSize, m.MaxLength())
		} else {
			t.add(reqs, m.MaxLength())
		}
		for _, req := range q.Requests {
			if key := record.KeyOf(req); !seen[key] {
				seen[key] = true
				all = append(all, req)
			}
		}
		n := t.SharedTokens - before
		if p.probe == nil || distance(n) < distance(p.ProbeTokens) {
			p.probe, p.ProbeTokens = reqs, n
		}
	}
	options := score.Options{MaxLength: m.MaxLength(), NoPrefixSharing: true}
	if own, ok := m.(Planner); ok {
		options = own.ScoreOptions()
	}
	work, err := options.Work(all)
	t.Run += int64(work.Tokens)
	p.LargestPass, p.LargestHead = max(p.LargestPass, work.LargestPass), max(p.LargestHead, work.LargestHead)
	p.Kept = max(p.Kept, work.Kept)
	return t, err
}

// Measure scores the probe twice and times the second pass. It does nothing if answers
// cost money.
func (p *WorkEstimate) Measure(ctx context.Context, m Model) error {
	if p.probe == nil || m.Info().Paid {
		return nil
	}
	var took time.Duration
	for range 2 {
		start := time.Now()
		if err := m.Score(ctx, p.probe, func(int, Score) error { return nil }); err != nil {
			return err
		}
		took = time.Since(start)
	}
	p.TokensPerSecond = float64(p.ProbeTokens) / max(took, 1).Seconds()
	return nil
}

func distance(tokens int64) int64 { return max(tokens-probeTokens, probeTokens-tokens) }

// addAnswer counts a prompt and the longest answer to it.
func (t *TaskEstimate) addAnswer(prompt, answer, limit int) {
	t.Requests++
	t.Tokens += int64(min(prompt+answer, limit))
	t.SharedTokens += int64(min(prompt+answer, limit))
	t.Run += int64(min(prompt+answer, limit))
	if prompt >= limit {
		t.Cut++
	}
}

// add counts the requests of a question.
func (t *TaskEstimate) add(reqs []Request, limit int) {
	shared := reqs[0].Input()
	for _, r := range reqs {
		input := r.Input()
		t.Requests++
		t.Tokens += int64(min(len(input), limit))
		t.SharedTokens += int64(min(len(input), limit))
		if len(input) > limit {
			t.Cut++
		}
		shared = shared[:score.CommonPrefix(shared, input)]
	}
	t.SharedTokens -= int64(min(len(shared), limit)) * int64(len(reqs)-1)
}

// cost estimates the number of tokens that the model runs for question i of a task. A
// prefix that it shares with the question before it, such as examples, costs nothing.
func (e *evaluation) cost(r *record.Task, i int) int64 {
	var t TaskEstimate
	q, limit := &r.Questions[i], e.m.MaxLength()
	if r.Judged() {
		t.addAnswer(len(e.m.Tokenizer().Encode(q.Context, true)), *r.Task.GenerationSize, limit)
		return t.SharedTokens
	}
	t.add(q.Requests, limit)
	if input := q.Requests[0].Input(); i > 0 && len(input) <= limit {
		t.SharedTokens -= int64(score.CommonPrefix(r.Questions[i-1].Requests[0].Input(), input))
	}
	return max(t.SharedTokens, 1)
}
