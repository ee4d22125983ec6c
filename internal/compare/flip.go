package compare

import (
	"fmt"
	"slices"
	"strings"
)

// Flip is a question on which the scores of the runs differ.
type Flip struct {
	Task string `json:"task"`
	// Question is the number of the question in A's details, counted from 1.
	Question int      `json:"question"`
	Prompt   string   `json:"prompt"`
	Choices  []string `json:"choices"`
	Gold     string   `json:"gold"`
	// A and B are the answers, ScoreA and ScoreB their marks.
	A      string  `json:"a"`
	B      string  `json:"b"`
	ScoreA float64 `json:"a_score"`
	ScoreB float64 `json:"b_score"`
	// LogProbsA and LogProbsB hold the choices' log-probabilities.
	LogProbsA []float64 `json:"a_logprobs,omitempty"`
	LogProbsB []float64 `json:"b_logprobs,omitempty"`
	// PromptB and ChoicesB are those of B, if they differ.
	PromptB  string   `json:"b_prompt,omitempty"`
	ChoicesB []string `json:"b_choices,omitempty"`
}

func newFlip(task string, index int, a, b *question) Flip {
	f := Flip{Task: task, Question: index + 1, Prompt: a.prompt, Choices: a.choices, Gold: a.goldText(), A: a.answer(), B: b.answer(),
		ScoreA: a.value, ScoreB: b.value, LogProbsA: a.scores, LogProbsB: b.scores}
	if a.prompt != b.prompt {
		f.PromptB = b.prompt
	}
	if !slices.Equal(a.choices, b.choices) {
		f.ChoicesB = b.choices
	}
	return f
}

// Outcome describes how the runs differ on the question.
func (f Flip) Outcome() string {
	switch {
	case f.ScoreA == 1 && f.ScoreB == 0:
		return "only A is right"
	case f.ScoreA == 0 && f.ScoreB == 1:
		return "only B is right"
	}
	return fmt.Sprintf("A is marked %.2f, B %.2f", f.ScoreA, f.ScoreB)
}

// FlipAnswer is an answer to a flipped question. A and B are set if that run gave it, and
// Gold if it is right.
type FlipAnswer struct {
	Text       string
	A, B, Gold bool
	// Scored is set if the log-probabilities are known.
	Scored             bool
	LogProbA, LogProbB float64
}

// Answers returns the choices, followed by answers that are not among them.
func (f Flip) Answers() []FlipAnswer {
	var out []FlipAnswer
	scored := f.ChoicesB == nil && len(f.LogProbsA) == len(f.Choices) && len(f.LogProbsB) == len(f.Choices)
	for i, c := range f.Choices {
		a := FlipAnswer{Text: c, A: c == f.A, B: c == f.B, Gold: c == f.Gold, Scored: scored}
		if scored {
			a.LogProbA, a.LogProbB = f.LogProbsA[i], f.LogProbsB[i]
		}
		out = append(out, a)
	}
	for _, text := range []string{f.A, f.B} {
		if text != "" && !slices.ContainsFunc(out, func(a FlipAnswer) bool { return a.Text == text }) {
			out = append(out, FlipAnswer{Text: text, A: text == f.A, B: text == f.B})
		}
	}
	return out
}

// Text formats a flipped question for a terminal: the prompt and the answers, with the
// runs that gave them.
func (f Flip) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, question %d: %s\n\n%s\n\n", f.Task, f.Question, f.Outcome(), f.Prompt)
	for _, x := range f.Answers() {
		var marks []string
		for _, m := range []struct {
			name string
			on   bool
		}{{"right", x.Gold}, {"A", x.A}, {"B", x.B}} {
			if m.on {
				marks = append(marks, m.name)
			}
		}
		fmt.Fprintf(&b, "- %s", strings.TrimSpace(x.Text))
		if len(marks) > 0 {
			fmt.Fprintf(&b, "  ← %s", strings.Join(marks, ", "))
		}
		if x.Scored {
			fmt.Fprintf(&b, "  (log-probability %.2f, %.2f)", x.LogProbA, x.LogProbB)
		}
		b.WriteString("\n")
	}
	return b.String()
}
