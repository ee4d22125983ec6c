package main

import (
	"errors"
	"fmt"
	"time"

	"barka/internal/backend"
	"barka/internal/eval"
	"barka/internal/resident"
	"barka/internal/ui"
)

// reportMemory prints the memory of the run, estimated from the model's shape. No
// weights are loaded yet.
func reportMemory(a *app, m *backend.UnloadedModel, plan *eval.WorkEstimate) {
	need, so := m.Memory(plan), resident.Peak()
	gib := func(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }
	total := need.Weights + need.Kept + need.Pass + so
	a.ui.Event("memory", fmt.Sprintf("memory: about %s = weights as %s %s + largest pass (%d tokens) %s + keys and values "+
		"kept between passes %s + tokenizer and prompts %s; the embedding is looked up on disk and may take up to %s of the page cache",
		gib(total), m.DType(), gib(need.Weights), plan.LargestPass, gib(need.Pass), gib(need.Kept), gib(so), gib(need.Table)),
		map[string]any{"dtype": m.DType(), "weights": need.Weights, "pass": need.Pass, "pass_tokens": plan.LargestPass,
			"kept": need.Kept, "program": so, "mapped": need.Table,
			"total": total})
}

// dryRun counts what the evaluation would run, and measures the speed on one
// question.
func (c *evalRunCmd) dryRun(a *app, m eval.Model, o eval.Options) error {
	plan, err := eval.Estimate(a.ctx, m, o, a.ui.Progress())
	if plan == nil || len(plan.Tasks) == 0 {
		return err
	}
	if p, ok := m.(*backend.UnloadedModel); ok {
		reportMemory(a, p, plan)
	}
	if speedErr := plan.Measure(a.ctx, m); speedErr != nil {
		a.ui.Warnf("the speed could not be measured: %v", speedErr)
	}
	return errors.Join(c.estimate(a, plan), err)
}

func (c *evalRunCmd) estimate(a *app, p *eval.WorkEstimate) error {
	var rows [][]any
	all := eval.TaskEstimate{Task: "all"}
	for _, e := range p.Tasks {
		rows = append(rows, a.estimateRow(e, p.TokensPerSecond))
		all.Questions, all.Requests, all.Cut = all.Questions+e.Questions, all.Requests+e.Requests, all.Cut+e.Cut
		all.Tokens, all.SharedTokens, all.Run = all.Tokens+e.Tokens, all.SharedTokens+e.SharedTokens, all.Run+e.Run
	}
	rows = append(rows, a.estimateRow(all, p.TokensPerSecond))
	headers := []string{"task", "questions", "requests", "cut", "tokens", "shared", "run", "time"}
	if a.JSON {
		headers = append(headers, "seconds") // the time as a number
	}
	if err := a.ui.Table(headers, rows); err != nil {
		return err
	}
	if p.TokensPerSecond == 0 {
		a.ui.Infof("no speed was measured: a dry run sends nothing to an endpoint, which reads every token of every request")
		return nil
	}
	text := fmt.Sprintf("%.0f tokens/s on a question of %d tokens, with a peak memory of %.2f GiB; shared counts a prefix common "+
		"to the choices of a question once, run also a prefix common to several questions",
		p.TokensPerSecond, p.ProbeTokens, float64(resident.Peak())/(1<<30))
	a.ui.Event("speed", text, map[string]any{"tokens_per_second": p.TokensPerSecond, "probe_tokens": p.ProbeTokens,
		"peak_memory": resident.Peak()})
	return nil
}

func (a *app) estimateRow(e eval.TaskEstimate, speed float64) []any {
	took := "unknown"
	var seconds any
	if speed > 0 {
		s := float64(e.Run) / speed
		took, seconds = ui.Duration(time.Duration(s*float64(time.Second))), s
	}
	cells := []any{e.Task, e.Questions, e.Requests, e.Cut, e.Tokens, e.SharedTokens, e.Run, took}
	if a.JSON {
		cells = append(cells, seconds)
	}
	return cells
}
