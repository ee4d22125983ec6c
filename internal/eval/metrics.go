package eval

import (
	"math"

	"barka/internal/eval/tasks"
	"barka/internal/pytext"
)

// argmax is numpy's: the first of equal values, and the first NaN before all.
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

// Choose returns the choice that a metric takes for the model's answer: the
// likeliest, or, for the name acc_norm, the likeliest after dividing by the
// choices' lengths in Unicode characters. An empty choice has no such length;
// the task table refuses it.
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

// accuracy is 1 when the right choice is the likeliest, else 0.
func accuracy(scores []float64, gold int) int {
	return count(Choose("acc", scores, nil) == gold)
}

// accuracyNorm is accuracy after dividing by the choices' lengths.
func accuracyNorm(scores []float64, choices []string, gold int) int {
	return count(Choose("acc_norm", scores, choices) == gold)
}

// measure returns a question's value of the task's metric.
func measure(t tasks.Task, d tasks.Doc, scores []float64) int {
	if t.Metric == tasks.Acc {
		return accuracy(scores, d.Gold)
	}
	return accuracyNorm(scores, d.Choices, d.Gold)
}

// mean is the average.
func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// standardError is the sample standard deviation over the root of the count.
// Terms are added in the questions' order and never fused, as the last digits
// depend on it.
func standardError(xs []float64) float64 {
	mu, sum := mean(xs), 0.0
	for _, x := range xs {
		d := x - mu
		sum += float64(d * d)
	}
	n := float64(len(xs))
	return math.Sqrt(sum/(n-1)) / math.Sqrt(n)
}
