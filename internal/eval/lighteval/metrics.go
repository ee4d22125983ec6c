package lighteval

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// argmax is numpy's argmax: the first of equal values, and the first NaN if there is one.
func argmax(xs []float64) int {
	best := 0
	for i, x := range xs {
		if math.IsNaN(x) {
			return i
		}
		if x > xs[best] {
			best = i
		}
	}
	return best
}

// Choose returns the index of the choice that a metric takes as the model's answer: the
// one with the highest score or, for acc_norm, with the highest score after division by
// the choices' lengths in Unicode characters. Package tasks rejects empty choices, by
// whose length no score can be divided.
func Choose(metric string, scores []float64, choices []string) int {
	if metric != "acc_norm" {
		return argmax(scores)
	}
	normed := make([]float64, len(scores))
	for i, s := range scores {
		normed[i] = s / float64(pytext.CodePoints(choices[i]))
	}
	return argmax(normed)
}

// Accuracy returns 1 if the right choice has the highest score, and 0 otherwise.
func Accuracy(scores []float64, gold int) int {
	if Choose("acc", scores, nil) == gold {
		return 1
	}
	return 0
}

// AccuracyNorm is Accuracy after division by the choices' lengths.
func AccuracyNorm(scores []float64, choices []string, gold int) int {
	if Choose("acc_norm", scores, choices) == gold {
		return 1
	}
	return 0
}

// Measure sets the value of the task's metric for every question of a run.
func Measure(run *record.Run) {
	for _, t := range run.Tasks {
		for i := range t.Questions {
			q := &t.Questions[i]
			q.Answer.Value = value(t, q)
		}
	}
}

func value(t *record.Task, q *record.Question) float64 {
	switch t.Task.Metric {
	case tasks.Judged:
		mark, _ := Mark(q.Answer.Judgement)
		return mark
	case tasks.Acc:
		return float64(Accuracy(q.Answer.LogProbs(), q.Doc.Gold))
	}
	return float64(AccuracyNorm(q.Answer.LogProbs(), q.Doc.Choices, q.Doc.Gold))
}

// Mark returns the first word of a judgement that is a number, as a share of 10, as the
// reference does. If there is none, the share is 0 and ok is false.
func Mark(judgement string) (share float64, ok bool) {
	for _, word := range strings.FieldsFunc(judgement, pytext.IsSpace) {
		number := strings.Map(digit, word)
		if strings.Trim(strings.Replace(number, ".", "", 1), "0123456789") != "" || number == "." {
			continue
		}
		f, err := strconv.ParseFloat(number, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return min(f/10, 1), true
		}
	}
	return 0, false
}

// digit maps Arabic and Persian digits to ASCII digits.
func digit(r rune) rune {
	switch {
	case r >= '٠' && r <= '٩':
		return r - '٠' + '0'
	case r >= '۰' && r <= '۹':
		return r - '۰' + '0'
	}
	return r
}

// Mean returns the arithmetic mean.
func Mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// standardError returns the sample standard deviation divided by the square root of the
// count. Terms are added in the questions' order and without fused multiply-add,
// because the last digits depend on both.
func standardError(xs []float64) float64 {
	mu, sum := Mean(xs), 0.0
	for _, x := range xs {
		d := x - mu
		sum += float64(d * d)
	}
	n := float64(len(xs))
	return math.Sqrt(sum/(n-1)) / math.Sqrt(n)
}
