package eval

import (
	"math"

	"barka/internal/pytext"
	"barka/internal/stage/eval/tasks"
)

// Baseline is what a task's scores have to be read against. A judged task has
// no choices: the numbers that need them are NaN.
type Baseline struct {
	Task      string
	Questions int
	// Acc and AccNorm are the model's accuracy without and with division by
	// the choices' lengths, whichever of them the task reports.
	Acc, AccNorm float64
	// Random is the mean chance of guessing. Constant[i] is the accuracy of
	// always giving answer i, and Majority the best of these.
	Random, Majority float64
	Constant         []float64
	// Prompts is the digest of the prompts, and Published the digest of the
	// leaderboard's (equal ones prove equal questions in equal words); empty
	// where it cannot be compared, with examples or fewer questions.
	Prompts, Published string
}

func baseline(r *taskRun) Baseline {
	nan := math.NaN()
	b := Baseline{Task: r.name(), Questions: len(r.samples), Acc: nan, AccNorm: nan, Random: nan, Majority: nan}
	if r.task.Metric != tasks.Judged {
		b.choices(r.samples)
	}
	digests := make([]string, len(r.samples))
	for i, s := range r.samples {
		digests[i] = digestText(s.context)
	}
	b.Prompts = digestSorted(digests)
	if r.shots.K == 0 && len(r.samples) == r.original {
		b.Published = r.task.PromptsDigest
	}
	return b
}

func (b *Baseline) choices(samples []sample) {
	n := float64(len(samples))
	acc, accNorm := 0, 0
	var counts []int
	b.Random, b.Majority = 0, 0
	for _, s := range samples {
		scores := logProbs(s.scores)
		acc += accuracy(scores, s.doc.Gold)
		accNorm += accuracyNorm(scores, s.doc.Choices, s.doc.Gold)
		b.Random += 1 / float64(len(s.doc.Choices)) / n
		for len(counts) <= max(s.doc.Gold, len(s.doc.Choices)-1) {
			counts = append(counts, 0)
		}
		counts[s.doc.Gold]++
	}
	b.Acc, b.AccNorm = float64(acc)/n, float64(accNorm)/n
	for _, c := range counts {
		b.Constant = append(b.Constant, float64(c)/n)
		b.Majority = max(b.Majority, float64(c)/n)
	}
}

func (b Baseline) object() pytext.Object {
	o := pytext.Object{{Key: "questions", Value: b.Questions}}
	if !math.IsNaN(b.Random) {
		constant := make([]any, len(b.Constant))
		for i, c := range b.Constant {
			constant[i] = c
		}
		o = append(o, pytext.Object{
			{Key: "acc", Value: b.Acc}, {Key: "acc_norm", Value: b.AccNorm},
			{Key: "random", Value: b.Random}, {Key: "majority", Value: b.Majority}, {Key: "constant", Value: constant},
		}...)
	}
	o.Set("prompts_xxh64", b.Prompts)
	if b.Published != "" {
		o.Set("prompts_as_published", b.Prompts == b.Published)
	}
	return o
}
