package eval

import (
	"barka/internal/pytext"
)

// Baseline is what a task's scores have to be read against.
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
	b := Baseline{Task: r.name(), Questions: len(r.samples)}
	n := float64(len(r.samples))
	digests := make([]string, len(r.samples))
	acc, accNorm := 0, 0
	var counts []int
	for i, s := range r.samples {
		scores := logProbs(s.scores)
		acc += accuracy(scores, s.doc.Gold)
		accNorm += accuracyNorm(scores, s.doc.Choices, s.doc.Gold)
		b.Random += 1 / float64(len(s.doc.Choices)) / n
		for len(counts) <= max(s.doc.Gold, len(s.doc.Choices)-1) {
			counts = append(counts, 0)
		}
		counts[s.doc.Gold]++
		digests[i] = digestText(s.context)
	}
	b.Acc, b.AccNorm = float64(acc)/n, float64(accNorm)/n
	for _, c := range counts {
		b.Constant = append(b.Constant, float64(c)/n)
		b.Majority = max(b.Majority, float64(c)/n)
	}
	b.Prompts = digestSorted(digests)
	if r.shots.K == 0 && len(r.samples) == r.original {
		b.Published = r.task.PromptsDigest
	}
	return b
}

func (b Baseline) object() pytext.Object {
	constant := make([]any, len(b.Constant))
	for i, c := range b.Constant {
		constant[i] = c
	}
	o := pytext.Object{
		{Key: "questions", Value: b.Questions}, {Key: "acc", Value: b.Acc}, {Key: "acc_norm", Value: b.AccNorm},
		{Key: "random", Value: b.Random}, {Key: "majority", Value: b.Majority}, {Key: "constant", Value: constant},
		{Key: "prompts_xxh64", Value: b.Prompts},
	}
	if b.Published != "" {
		o.Set("prompts_as_published", b.Prompts == b.Published)
	}
	return o
}
