package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"barka/internal/backend"
	"barka/internal/bench"
	"barka/internal/printable"
	"barka/internal/recipe"
	"barka/internal/stage/train"
	"barka/internal/ui"
)

// isRecipe reports whether a name is that of a recipe, as opposed to a model.
func isRecipe(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// diagnose prints the stages of a recipe with their estimates, and then whether they fit, how
// long they take at least, and what they cost.
func (c *doctorCmd) diagnose(a *app) error {
	r, err := recipe.Open(c.Target)
	if err != nil {
		return err
	}
	if err := a.needContact(r, c.Contact); err != nil {
		return err
	}
	w, checked, plan, err := a.plan(r, runDirectory(r), 0)
	if err != nil {
		return err
	}
	sum, err := a.printPlan(w, plan, c.Price)
	if err != nil {
		return err
	}
	a.reportChecked(checked)
	if err := a.ui.Table([]string{"question", "answer"}, [][]any{
		{"does it fit", fits(a.engine(""), plan)},
		{"how long", strings.TrimPrefix(sum.text(), "all stages: ")},
		{"what it costs", costs(r, plan)},
		{"to download", downloads(checked)},
	}); err != nil {
		return err
	}
	return checked.Err()
}

// fits compares the largest stage with the device's memory.
func fits(e *backend.Engine, plan []recipe.Planned) string {
	if len(plan) == 0 {
		return "there is nothing to do"
	}
	most := slices.MaxFunc(plan, func(x, y recipe.Planned) int { return int(max(min(x.Memory-y.Memory, 1), -1)) })
	if most.Memory == 0 {
		return "unknown until the models are downloaded"
	}
	text := fmt.Sprintf("%s needs the most memory, %s", most.Stage, printable.Bytes(most.Memory))
	switch total, free := e.Total(), e.Available(); {
	case total == 0:
		return text
	case most.Memory > total:
		return fmt.Sprintf("no: %s, and %s has %s; set dtype: int8, a smaller max_length or a smaller model", text, e.Place(),
			printable.Bytes(total))
	case most.Memory > free:
		return fmt.Sprintf("only just: %s; %s has %s, of which %s are free now: end other programs", text, e.Place(),
			printable.Bytes(total), printable.Bytes(free))
	default:
		return fmt.Sprintf("yes: %s, and %s are free", text, printable.Bytes(free))
	}
}

// costs adds what the endpoints ask by the prices of the recipe.
func costs(r *recipe.Recipe, plan []recipe.Planned) string {
	least, most, priced := 0.0, 0.0, false
	for _, p := range plan {
		if p.Cost != nil {
			least, most, priced = least+p.Cost.Least, most+p.Cost.Most, true
		}
	}
	switch {
	case priced && least == most:
		return fmt.Sprintf("at most %.2f by the prices given", most)
	case priced:
		return fmt.Sprintf("at most %.2f to %.2f by the prices given", least, most)
	case slices.ContainsFunc(plan, func(p recipe.Planned) bool { return p.Elsewhere && !p.Done }):
		return "what the endpoint asks: set price_in and price_out (of a million tokens) in models.generator to know"
	}
	return "nothing at endpoints: all models run here; --price-per-hour counts the machine"
}

// downloads describes what has to be downloaded.
func downloads(c *recipe.Checked) string {
	var n int64
	for _, p := range c.Downloads {
		n += p.ToFetch
	}
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s from %d repositories", printable.Bytes(n), len(c.Downloads))
}

// tunedTokens is the length of the training that a model is estimated for.
const tunedTokens = 1_000_000

// workRows estimates generating with a model and fine-tuning it, in each type of weights. A
// model that is no decoder has none.
func workRows(a *app, name string) [][]any {
	var rows [][]any
	ceilings := bench.QuickCeilings(a.engine("").Host(), a.Threads)
	for _, dtype := range []string{"f32", "bf16", "int8"} {
		engine := a.engine(dtype)
		l, err := engine.Outline(name, false)
		if err != nil || l.Shape == nil {
			return rows
		}
		rows = append(rows, []any{"writing, " + dtype, fmt.Sprintf("at most %.1f tokens/s alone", ceilings.Read/float64(l.Shape.Weights))})
		o := train.Defaults()
		o.DType = dtype
		d := &train.Data{Tokens: tunedTokens, Trained: tunedTokens, Longest: o.MaxLength}
		e, err := engine.Forecast(name, o, tunedTokens/500, d, a.Seed, 0)
		if err != nil {
			rows = append(rows, []any{"LoRA, " + dtype, err.Error()})
			continue
		}
		seconds, _ := leastTime(recipe.Planned{Effort: recipe.Effort{FLOP: e.FLOP, DType: dtype}}, ceilings)
		text := fmt.Sprintf("rank %d: %s, at least %s per million tokens", o.Rank, printable.Bytes(e.Memory),
			ui.Duration(time.Duration(seconds/float64(max(o.Epochs, 1))*float64(time.Second))))
		if free := engine.Available(); free > 0 && e.Memory > free {
			text += " (does not fit now)"
		}
		rows = append(rows, []any{"LoRA, " + dtype, text})
	}
	return rows
}
