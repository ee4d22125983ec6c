package filter

import (
	"context"

	"barka/internal/badinput"
	"barka/internal/dataset"
)

// Explanation is what one rule says of a row.
type Explanation struct {
	Rule     string `json:"rule"`
	Measures string `json:"measures"`
	Value    string `json:"value,omitempty"`     // of the worst message
	Bound    string `json:"threshold,omitempty"` // with "at most" or "at least"
	Message  int    `json:"message,omitempty"`   // its number, 0 for the whole row
	Verdict  string `json:"verdict"`             // Keep, Drop, or why the rule does not apply
	Detail   string `json:"detail,omitempty"`
}

// Verdicts of Explanation.
const (
	Keep = "keep"
	Drop = "drop"
)

// Explain measures one row of a dataset of instructions by every rule. It does not compare the
// row with others.
func Explain(ctx context.Context, o Options, path, id string) ([]Explanation, error) {
	err := o.Validate()
	if err == nil {
		err = dataset.Require(path, dataset.Instructions)
	}
	if err == nil {
		o.words, err = withFile(o.Blocklist)
	}
	if err != nil {
		return nil, err
	}
	for r, err := range dataset.Rows[dataset.Instruction](ctx, path) {
		if err != nil {
			return nil, err
		}
		if r.ID == id {
			return o.explain(r)
		}
	}
	return nil, badinput.Errorf("filter: %s has no row with the id %q; --explain takes the column id of a row of --in", path, id)
}

func (o Options) explain(r dataset.Instruction) (all []Explanation, err error) {
	form, err := formOf(r)
	if err != nil {
		return nil, err
	}
	turns := Explanation{Rule: "turns", Measures: "roles in turn, with text", Verdict: Keep}
	if why := dataset.CheckTurns(r.Messages); why != nil {
		turns.Rule, turns.Verdict, turns.Detail = why.Reason, Drop, why.Detail
		return []Explanation{turns}, nil
	}
	seed := Explanation{Rule: "seed_rules", Measures: "the original's rules", Verdict: off}
	if o.SeedRules {
		seed.Verdict = Keep
		if why := seedRules(form, r); why.Reason != "" {
			seed.Rule, seed.Verdict, seed.Detail = why.Reason, Drop, why.Detail
		}
	}
	all = []Explanation{turns, seed}
	x := examine(&o, r, form)
	defer x.done()
	x.explain = true
	for i := range rules {
		rule := &rules[i]
		f := x.run(rule)
		e := Explanation{Rule: rule.name, Measures: rule.measures, Verdict: f.skipped, Message: f.message, Detail: f.what}
		if f.skipped == "" {
			e.Verdict, e.Value = Keep, short(f.value)
			e.Bound = "at most " + short(f.bound)
			if f.least {
				e.Bound = "at least " + short(f.bound)
			}
			if f.dropped {
				e.Verdict = Drop
			}
		}
		all = append(all, e)
	}
	return all, nil
}
