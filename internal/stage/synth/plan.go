package synth

import (
	"context"
	"fmt"
	"slices"

	"barka/internal/dataset"
	"barka/internal/llm"
)

// Estimate is what a run will ask of the models if no text has to be asked for twice.
type Estimate struct {
	Passages          int    `json:"passages"`
	Long              int    `json:"long"`
	Threshold         int    `json:"threshold_chars"`
	Calls             int    `json:"calls"`
	PromptTokens      int64  `json:"prompt_tokens"` // at four characters a token
	MaxTokens         int64  `json:"max_completion_tokens"`
	JudgeCalls        int    `json:"judge_calls,omitempty"`
	JudgePromptTokens int64  `json:"judge_prompt_tokens,omitempty"`
	JudgeMaxTokens    int64  `json:"judge_max_completion_tokens,omitempty"`
	MaxCost           *Range `json:"max_cost,omitempty"` // nil: no prices were given
}

// Range is a cost by the cheapest and by the dearest endpoint.
type Range struct {
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

// promptChars are the characters of a prompt besides the passage.
const promptChars = 500

// charsPerToken is the usual figure for English.
const charsPerToken = 4

// Cost is the price of the generator's calls, at most, by the prices of a million tokens.
func (e Estimate) Cost(prompt, completion float64) float64 {
	return (float64(e.PromptTokens)*prompt + float64(e.MaxTokens)*completion) / 1e6
}

func (e Estimate) judgeCost(prompt, completion float64) float64 {
	return (float64(e.JudgePromptTokens)*prompt + float64(e.JudgeMaxTokens)*completion) / 1e6
}

// Price sets the cost, if one of the endpoints has a price.
func (e *Estimate) Price(generator, judge []llm.Server) {
	var r Range
	priced := false
	add := func(endpoints []llm.Server, cost func(in, out float64) float64) {
		var costs []float64
		for _, at := range endpoints {
			priced = priced || at.PriceIn > 0 || at.PriceOut > 0
			costs = append(costs, cost(at.PriceIn, at.PriceOut))
		}
		if len(costs) > 0 {
			r.Least, r.Most = r.Least+slices.Min(costs), r.Most+slices.Max(costs)
		}
	}
	add(generator, e.Cost)
	add(judge, e.judgeCost)
	if priced {
		e.MaxCost = &r
	}
}

// String describes the estimate in a line.
func (e Estimate) String() string {
	return fmt.Sprintf("%d passages, %d of them long (from %d characters); %d calls, about %d prompt tokens, "+
		"at most %d completion tokens", e.Passages, e.Long, e.Threshold, e.Calls, e.PromptTokens, e.MaxTokens) + e.Extra()
}

// Extra describes the judge's part and the cost, if there are any.
func (e Estimate) Extra() (text string) {
	if e.JudgeCalls > 0 {
		text = fmt.Sprintf("; %d calls of the judge, about %d prompt tokens, at most %d completion tokens",
			e.JudgeCalls, e.JudgePromptTokens, e.JudgeMaxTokens)
	}
	switch r := e.MaxCost; {
	case r != nil && r.Least == r.Most:
		text += fmt.Sprintf("; at most %.2f by the prices given, without texts that are asked for again", r.Most)
	case r != nil:
		text += fmt.Sprintf("; at most %.2f to %.2f by the prices given, without texts that are asked for again", r.Least, r.Most)
	}
	return text
}

// add adds a record: the calls for its questions, its turns, and the passage's length.
func (e *Estimate) add(o Options, questions, turns, chars int) {
	answers := turns * max(o.BestOf, 1)
	calls, prompt := questions+answers, int64((chars+promptChars)/charsPerToken)
	e.Calls += calls
	e.PromptTokens += int64(calls) * prompt
	e.MaxTokens += int64(calls) * int64(o.MaxTokens)
	if o.Judge != "" {
		e.JudgeCalls += answers
		e.JudgePromptTokens += int64(answers) * (prompt + int64(o.MaxTokens))
		e.JudgeMaxTokens += int64(answers) * int64(o.MaxTokens)
	}
}

// addLong adds a conversation.
func (e *Estimate) addLong(o Options, chars int) {
	e.Long++
	questions := o.Turns
	if o.Independent {
		questions = 1
	}
	e.add(o, questions, o.Turns, chars)
}

// Expect estimates a run over passages of which only the number and the usual length are
// known.
func Expect(o Options, passages, chars int) Estimate {
	e := Estimate{Passages: passages}
	long := int(float64(passages) * (1 - o.LongQuantile))
	for i := range passages {
		if i < long {
			e.addLong(o, chars)
		} else {
			e.add(o, 1, 1, chars)
		}
	}
	return e
}

// Plan reads the passages and estimates a run with the seed.
func Plan(ctx context.Context, o Options, seed int64, passages string) (Estimate, error) {
	if err := o.Validate(); err != nil {
		return Estimate{}, err
	}
	prompts, err := LoadPrompts(o.Prompts)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkPassages(passages); err != nil {
		return Estimate{}, err
	}
	all := lengths{}
	asked := lengths{} // those that need no call for the question of a single passage
	e := Estimate{}
	for p, err := range dataset.Rows[dataset.Passage](ctx, passages) {
		if err != nil {
			return Estimate{}, err
		}
		e.Passages++
		all[chars(p)]++
		if d := prompts.draw(drawSeed(seed, p.ID, 0), false); d.writesMessage() {
			asked[chars(p)]++
		}
	}
	e.Threshold = all.threshold(o, e.Passages)
	for n, times := range all {
		for i := range times {
			switch {
			case n >= e.Threshold:
				e.addLong(o, n)
			case i < asked[n]:
				e.add(o, 0, 1, n)
			default:
				e.add(o, 1, 1, n)
			}
		}
	}
	return e, nil
}
