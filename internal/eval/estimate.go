package eval

import (
	"context"
	"slices"
	"time"

	"barka/internal/eval/tasks"
	"barka/internal/progress"
	"barka/internal/score"
)

// TaskEstimate says how much work a task is.
type TaskEstimate struct {
	Task                string
	Questions, Requests int
	// Tokens counts the model's input over all requests; SharedTokens counts
	// what a question's choices begin with once, and Run is what the model runs
	// when it finds what questions share too.
	Tokens, SharedTokens, Run int64
	// Cut counts requests that exceed the model's length.
	Cut int
}

// Plan is what a run would do.
type Plan struct {
	Tasks []TaskEstimate
	// LargestPass and LargestHead are the most tokens that the model runs at
	// once, and the most of them whose predictions are asked for at once; Kept is
	// the most of which keys and values stay from one pass for the next.
	LargestPass, LargestHead, Kept int
	// TokensPerSecond is what Measure found on a question of ProbeTokens tokens;
	// 0 where it was not measured.
	TokensPerSecond float64
	ProbeTokens     int64

	probe []Request
}

// probeTokens is about the length of the question that tells the speed.
const probeTokens = 512

// Estimate loads and encodes everything: what a dry run prints. It asks
// nothing of the model. Like Run it returns what it has together with the
// error of tasks that cannot be loaded.
func Estimate(ctx context.Context, m Model, o Options, reporter progress.Reporter) (*Plan, error) {
	e, err := prepare(ctx, m, o, reporter)
	if err != nil {
		return nil, err
	}
	plan := new(Plan)
	for _, r := range e.runs {
		t, err := plan.task(m, r)
		if err != nil {
			return nil, err
		}
		if t.Questions > 0 {
			plan.Tasks = append(plan.Tasks, t)
		}
	}
	if len(plan.Tasks) == 0 {
		return plan, failed(slices.Concat(e.failures, e.skipped), len(o.Tasks))
	}
	return plan, failed(e.failures, len(o.Tasks))
}

// task estimates a task, and takes one of its questions as the probe if its
// length is nearer to that wanted.
func (p *Plan) task(m Model, r *taskRun) (TaskEstimate, error) {
	t := TaskEstimate{Task: r.name()}
	var all []score.Request
	asked := map[requestKey]bool{}
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
		for _, req := range s.requests {
			if key := req.key(); !asked[key] {
				asked[key] = true
				all = append(all, score.Request(req))
			}
		}
		n := t.SharedTokens - before
		if p.probe == nil || distance(n) < distance(p.ProbeTokens) {
			p.probe, p.ProbeTokens = reqs, n
		}
	}
	plan := score.Plan{MaxLength: m.MaxLength(), Apart: true}
	if own, ok := m.(Planner); ok {
		plan = own.Plan()
	}
	work, err := plan.Work(all)
	t.Run += int64(work.Tokens)
	p.LargestPass, p.LargestHead, p.Kept = max(p.LargestPass, work.LargestPass), max(p.LargestHead, work.LargestHead), max(p.Kept, work.Kept)
	return t, err
}

// Measure scores one question, twice, to time the second, unless that has a
// price.
func (p *Plan) Measure(ctx context.Context, m Model) error {
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
