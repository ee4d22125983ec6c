package eval

import (
	"context"
	"slices"
	"time"

	"barka/internal/pipeline"
	"barka/internal/score"
	"barka/internal/stage/eval/tasks"
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

// Plan is what a run would do.
type Plan struct {
	Tasks []TaskEstimate
	// TokensPerSecond was measured on one question of ProbeTokens tokens; 0 of
	// an EachScorer, which is not asked.
	TokensPerSecond float64
	ProbeTokens     int64
}

// probeTokens is about the length of the question that tells the speed.
const probeTokens = 512

// Estimate loads and encodes everything and scores one question, twice, to
// time the second, unless that has a price: what a dry run prints. Like Run it
// returns what it has together with the error of tasks that cannot be loaded.
func Estimate(ctx context.Context, m Model, o Options, progress pipeline.Progress) (*Plan, error) {
	e, err := prepare(ctx, m, o, progress)
	if err != nil {
		return nil, err
	}
	plan := new(Plan)
	var probe []Request
	for _, r := range e.runs {
		t := TaskEstimate{Task: r.name()}
		for _, s := range r.samples {
			if s.elsewhere {
				continue
			}
			t.Questions++
			reqs, before := s.requests, t.SharedTokens
			if r.task.Metric == tasks.Judged {
				// Its time is that of reading as many tokens: too short.
				ids := m.Tokenizer().Encode(s.context, true)
				reqs = []Request{{ids[:len(ids)-1], ids[len(ids)-1:]}}
				t.addAnswer(len(ids), *r.task.GenerationSize, m.MaxLength())
			} else {
				t.add(reqs, m.MaxLength())
			}
			n := t.SharedTokens - before
			if probe == nil || distance(n) < distance(plan.ProbeTokens) {
				probe, plan.ProbeTokens = reqs, n
			}
		}
		if t.Questions > 0 {
			plan.Tasks = append(plan.Tasks, t)
		}
	}
	if len(plan.Tasks) == 0 {
		return plan, failed(slices.Concat(e.failures, e.skipped), len(o.Tasks))
	}
	if _, paid := m.(EachScorer); probe == nil || paid {
		return plan, failed(e.failures, len(o.Tasks))
	}
	var took time.Duration
	for range 2 {
		start := time.Now()
		if _, err := m.Score(ctx, probe, func(int) {}); err != nil {
			return nil, err
		}
		took = time.Since(start)
	}
	plan.TokensPerSecond = float64(plan.ProbeTokens) / max(took, 1).Seconds()
	return plan, failed(e.failures, len(o.Tasks))
}

func distance(tokens int64) int64 { return max(tokens-probeTokens, probeTokens-tokens) }

// addAnswer counts a prompt and the longest answer to it.
func (t *TaskEstimate) addAnswer(prompt, answer, limit int) {
	t.Requests++
	t.Tokens += int64(min(prompt+answer, limit))
	t.SharedTokens += int64(min(prompt+answer, limit))
	if prompt >= limit {
		t.Cut++
	}
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
