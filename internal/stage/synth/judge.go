package synth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/llm"
	"barka/internal/modeltext"
	"barka/internal/prose"
)

const (
	minScore, maxScore = 1, 5 // of a verdict
	// retryTemperature is that of a judge whose verdict could not be read: at 0 it would
	// only repeat itself.
	retryTemperature = 0.7
	// maxReason bounds the reason of a verdict, in characters.
	maxReason = 500

	judgeReason      = "judge"            // the score is below the threshold
	unreadableReason = "judge_unreadable" // no verdict could be read
)

// verdict is what a judge says about a question and its answer.
type verdict struct {
	score  float64 // from minScore to maxScore
	reason string
}

// judge asks for a verdict about an answer. The answer is the i-th of its turn that passed
// the checks. A verdict that cannot be read is asked for again.
func (r *record) judge(ctx context.Context, turn, i int, d data) (verdict, error) {
	var b strings.Builder
	if err := r.w.prompts.templates.ExecuteTemplate(&b, judgePrompt, d); err != nil {
		return verdict{}, err
	}
	step := judgeStep(turn, i)
	for attempt := range r.w.o.Attempts {
		temperature := 0.0
		if attempt > 0 {
			temperature = retryTemperature
		}
		a, err := r.call(ctx, r.w.judge, step, attempt, llm.Request{
			Messages:    []chat.Message{{Role: "user", Content: strings.TrimSpace(b.String())}},
			Temperature: temperature, TopP: 1, MaxTokens: r.w.o.MaxTokens,
			Seed: dataset.RecordSeed(r.w.seed, r.passage.ID, fmt.Sprintf("synth/%s/%d", step, attempt)),
		})
		if err != nil {
			return verdict{}, refused(step, err)
		}
		if v, ok := readVerdict(a.Text); ok && a.FinishReason == llm.FinishStop {
			return v, nil
		}
	}
	return verdict{}, &dataset.Reject{Reason: unreadableReason,
		Detail: fmt.Sprintf("%s, after %d calls: expected a line such as Score: %d", step, r.w.o.Attempts, maxScore)}
}

func judgeStep(turn, i int) string { return fmt.Sprintf("judge/%d/%d", turn, i) }

var (
	// scoreLine finds the score on a line of its own, in digits of any script.
	scoreLine = regexp.MustCompile(`(?im)^[^\pL\p{Nd}\n]*(?:(?:final |overall )?(?:score|rating)|(?:ال)?(?:درجة|تقييم|علامة))` +
		`[^\pL\p{Nd}\n-]*(\p{Nd}+(?:[.,٫]\p{Nd}+)?)(?:\s*(?:/|out of|من)\s*(?:5|٥))?[^\pL\p{Nd}\n]*$`)
	// scoreKey finds it in an object of JSON, where the reason may stand on either side.
	scoreKey  = regexp.MustCompile(`(?i)"score"\s*:\s*"?(\d+(?:\.\d+)?)"?\s*[,}\n]`)
	reasonKey = regexp.MustCompile(`(?is)"(?:reason|explanation)"\s*:\s*"((?:[^"\\]|\\.)*)"`)
)

// readVerdict reads what a judge wrote: the reason, then a line with the score, or both in
// an object of JSON. Two different scores, or one outside the scale, are no verdict.
func readVerdict(text string) (v verdict, ok bool) {
	text = modeltext.WithoutThoughts(text)
	found, reason := scoreLine.FindAllStringSubmatch(text, -1), scoreLine.ReplaceAllString(text, "")
	if len(found) == 0 {
		found = scoreKey.FindAllStringSubmatch(text, -1)
		if m := reasonKey.FindStringSubmatch(text); m != nil {
			reason = m[1]
		}
	}
	for i, m := range found {
		score, err := strconv.ParseFloat(asciiNumber(m[1]), 64)
		if err != nil || score < minScore || score > maxScore || i > 0 && score != v.score {
			return verdict{}, false
		}
		v.score = score
	}
	v.reason = strings.Join(strings.Fields(reason), " ")
	if runes := []rune(v.reason); len(runes) > maxReason {
		v.reason = string(runes[:maxReason])
	}
	return v, len(found) > 0
}

// asciiNumber writes a number in ASCII digits with a point.
func asciiNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if d, ok := prose.Digit(r); ok {
			return '0' + d
		}
		if r == ',' || r == '٫' {
			return '.'
		}
		return r
	}, s)
}

// checkJudge reports the first reason why the judge cannot work with the prompts.
func checkJudge(models Models, p *Prompts) error {
	if models.Judge != nil && p.files[judgePrompt] == nil {
		return badinput.Errorf("synth: the prompts have no %s, so that the judge has no question; write one "+
			"(--show-prompts prints the built-in one), or leave the judge out", judgePrompt)
	}
	return nil
}

// unread returns the rejection of a verdict that could not be read, or nil for another
// error.
func unread(err error) *dataset.Reject {
	var why *dataset.Reject
	if errors.As(err, &why) && why.Reason == unreadableReason {
		return why
	}
	return nil
}
