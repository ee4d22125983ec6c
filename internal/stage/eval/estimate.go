package eval

import (
	"context"

	"barka/internal/pipeline"
	"barka/internal/score"
)

// TaskEstimate says how much work a task is.
type TaskEstimate struct {
	Task                string
	Questions, Requests int
	// Tokens counts the model's input over all requests; SharedTokens counts
	// the prefix of a question's choices once.
	Tokens, SharedTokens int64
	// Cut counts requests that exceed the model's length.
	Cut int
}

// Estimate loads and encodes everything and runs nothing: what a dry run
// prints. It fails as Run does where a task cannot be loaded, but returns
// what it has.
func Estimate(ctx context.Context, m Model, o Options, progress pipeline.Progress) ([]TaskEstimate, []Failure, error) {
	e, err := prepare(ctx, m, o, progress)
	if err != nil {
		return nil, nil, err
	}
	var out []TaskEstimate
	for _, r := range e.runs {
		t := TaskEstimate{Task: r.name(), Questions: len(r.samples)}
		for _, s := range r.samples {
			t.add(s.requests, o.maxLength(m))
		}
		out = append(out, t)
	}
	return out, e.failures, failed(e.failures, len(o.Tasks))
}

func (t *TaskEstimate) add(reqs []Request, limit int) {
	shared := reqs[0].input(0)
	for _, r := range reqs {
		input := r.input(0)
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
