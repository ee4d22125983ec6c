package leaderboard

import (
	"fmt"
	"math"
	"slices"

	"barka/internal/eval/lighteval"
	"barka/internal/eval/record"
	"barka/internal/pytext"
)

// Baseline holds the numbers with which a task's score has to be compared. A judged task
// has no choices; the numbers that need them are NaN.
type Baseline struct {
	Task      string
	Questions int
	// Score is the task's own metric, from 0 to 1, and Metric its name.
	Metric string
	Score  float64
	// Acc and AccNorm are the model's accuracies without and with division by the
	// choices' lengths. The task reports one of them.
	Acc, AccNorm float64
	// Random is the mean accuracy of guessing. Constant[i] is the accuracy of
	// always giving answer i. If all questions have the same answers, in any
	// order, Answers holds the accuracy of always giving each of these texts.
	// Majority is the best of all of them.
	Random, Majority float64
	Constant         []float64
	Answers          []Answer
	// Habit is the answer that the model gave most often.
	Habit Habit
	// Prompts is the digest of the prompts, Published that of the leaderboard's
	// prompts. If they are equal, questions and wording are too. Published is empty
	// if there are examples or fewer questions, which cannot be compared.
	Prompts, Published string
}

// Answer is an answer and the share of questions for which it is right.
type Answer struct {
	Text  string
	Share float64
}

func baseline(t *record.Task) Baseline {
	nan := math.NaN()
	digests := make([]string, len(t.Questions))
	picks := make([]Pick, len(t.Questions))
	b := Baseline{Task: t.Name(), Questions: len(t.Questions), Metric: t.Task.MetricName(), Score: lighteval.Mean(t.Values()),
		Acc: nan, AccNorm: nan, Random: nan, Majority: nan}
	for i, q := range t.Questions {
		digests[i] = lighteval.DigestText(q.Context)
		picks[i] = Pick{Written: q.Answer.Text}
		if !t.Judged() {
			picks[i] = Pick{Choices: q.Doc.Choices,
				Chosen: lighteval.Choose(b.Metric, q.Answer.LogProbs(), q.Doc.Choices), Gold: q.Doc.Gold}
		}
	}
	b.Habit = NewHabit(b.Task, picks)
	if !t.Judged() {
		b.choices(t.Questions)
	}
	b.Prompts = lighteval.DigestSorted(digests)
	if t.Shots.K == 0 && len(t.Questions) == t.Original {
		b.Published = t.Task.PromptsDigest
	}
	return b
}

func (b *Baseline) choices(questions []record.Question) {
	n := float64(len(questions))
	acc, accNorm := 0, 0
	var counts []int
	b.Random, b.Majority = 0, 0
	for _, q := range questions {
		scores := q.Answer.LogProbs()
		acc += lighteval.Accuracy(scores, q.Doc.Gold)
		accNorm += lighteval.AccuracyNorm(scores, q.Doc.Choices, q.Doc.Gold)
		b.Random += 1 / float64(len(q.Doc.Choices)) / n
		for len(counts) <= max(q.Doc.Gold, len(q.Doc.Choices)-1) {
			counts = append(counts, 0)
		}
		counts[q.Doc.Gold]++
	}
	b.Acc, b.AccNorm = float64(acc)/n, float64(accNorm)/n
	for _, c := range counts {
		b.Constant = append(b.Constant, float64(c)/n)
		b.Majority = max(b.Majority, float64(c)/n)
	}
	b.Answers = fixedAnswers(questions)
	for _, a := range b.Answers {
		b.Majority = max(b.Majority, a.Share)
	}
}

// fixedAnswers returns the answers in the first question's order if all questions have
// the same ones, and nil otherwise.
func fixedAnswers(questions []record.Question) []Answer {
	texts := questions[0].Doc.Choices
	counts := make([]int, len(texts))
	for _, q := range questions {
		if len(q.Doc.Choices) != len(texts) || q.Doc.Gold >= len(texts) {
			return nil
		}
		for _, c := range q.Doc.Choices {
			if !slices.Contains(texts, c) {
				return nil
			}
		}
		counts[slices.Index(texts, q.Doc.Choices[q.Doc.Gold])]++
	}
	out := make([]Answer, len(texts))
	for i, text := range texts {
		out[i] = Answer{text, float64(counts[i]) / float64(len(questions))}
	}
	return out
}

// bestConstant returns the best single answer to all questions of several tasks, by the
// plain mean over the tasks. It is a text if all tasks have the same texts, and
// otherwise the number of an option. Its share is NaN without choices.
func bestConstant(members []Baseline) Answer {
	best := Answer{Share: math.NaN()}
	try := func(text string, share func(Baseline) float64) {
		sum := 0.0
		for _, m := range members {
			sum += share(m) / float64(len(members))
		}
		if !(best.Share >= sum) && !math.IsNaN(sum) {
			best = Answer{text, sum}
		}
	}
	for _, a := range members[0].Answers {
		try(a.Text, func(m Baseline) float64 { return m.shareOf(a.Text) })
	}
	if !math.IsNaN(best.Share) {
		return best
	}
	for i := range members[0].Constant {
		try(fmt.Sprintf("option %d", i+1), func(m Baseline) float64 {
			if i >= len(m.Constant) {
				return math.NaN()
			}
			return m.Constant[i]
		})
	}
	return best
}

// shareOf returns the share of an answer, or NaN if it is not an answer of the task.
func (b Baseline) shareOf(text string) float64 {
	for _, a := range b.Answers {
		if a.Text == text {
			return a.Share
		}
	}
	return math.NaN()
}

// favoured returns the longest and the shortest fixed answer. If they differ in
// length, acc_norm favours the longest: dividing a log-probability by more
// characters brings it nearer to zero.
func (b Baseline) favoured() (longest, shortest string, ok bool) {
	for _, a := range b.Answers {
		if longest == "" || pytext.CodePoints(a.Text) > pytext.CodePoints(longest) {
			longest = a.Text
		}
		if shortest == "" || pytext.CodePoints(a.Text) < pytext.CodePoints(shortest) {
			shortest = a.Text
		}
	}
	return longest, shortest, pytext.CodePoints(longest) > pytext.CodePoints(shortest)
}

func (b Baseline) object() pytext.Object {
	o := pytext.Object{{Key: "questions", Value: b.Questions}, {Key: "metric", Value: b.Metric}, {Key: "score", Value: b.Score}}
	given := pytext.Object{{Key: "text", Value: b.Habit.Answer}, {Key: "share", Value: b.Habit.Share}}
	if !math.IsNaN(b.Habit.Right) {
		given.Set("right", b.Habit.Right)
	}
	o.Set("given_most", given)
	if !math.IsNaN(b.Random) {
		constant := make([]any, len(b.Constant))
		for i, c := range b.Constant {
			constant[i] = c
		}
		o = append(o, pytext.Object{
			{Key: "acc", Value: b.Acc}, {Key: "acc_norm", Value: b.AccNorm},
			{Key: "random", Value: b.Random}, {Key: "majority", Value: b.Majority}, {Key: "constant", Value: constant},
		}...)
		if b.Answers != nil {
			var answers []any
			for _, a := range b.Answers {
				answers = append(answers, pytext.Object{{Key: "text", Value: a.Text}, {Key: "right", Value: a.Share}})
			}
			o.Set("answers", answers)
		}
	}
	o.Set("prompts_xxh64", b.Prompts)
	if b.Published != "" {
		o.Set("prompts_as_published", b.Prompts == b.Published)
	}
	return o
}
