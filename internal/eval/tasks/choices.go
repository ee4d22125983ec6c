package tasks

import (
	"strconv"

	"barka/internal/pyrandom"
)

// ChoiceFormat selects the texts that are scored as the options of an AlGhafa question.
// The prompt does not depend on it.
type ChoiceFormat string

const (
	// Texts scores the options' full texts, as the reference did until March 2025 and
	// version 1 of the leaderboard does.
	Texts ChoiceFormat = "text"
	// Indices scores the options' numbers in the prompt, from "0" on, as the reference
	// does since March 2025 and version 2 of the leaderboard does.
	Indices ChoiceFormat = "index"
)

// ChoiceFormats lists the values of ChoiceFormat.
var ChoiceFormats = []ChoiceFormat{Texts, Indices}

// Names of AlGhafa's prompt function: for texts, and for indices.
const (
	alghafaTexts   = "alghafa_prompt"
	alghafaIndices = "alghafa_pfn"
)

// Scoring returns the task with choices in a format, if it is one of AlGhafa's native
// tasks or one of the six translated tasks with the same prompt. It returns other tasks
// unchanged.
func (t Task) Scoring(c ChoiceFormat) Task {
	switch {
	case t.PromptName != alghafaTexts && t.PromptName != alghafaIndices:
	case c == Texts:
		t.PromptName, t.Prompt = alghafaTexts, alghafa
	case c == Indices:
		t.PromptName, t.Prompt = alghafaIndices, alghafaByIndex
	}
	return t
}

func alghafaByIndex(row Row, rnd *pyrandom.Random) (Doc, error) {
	doc, err := alghafa(row, rnd)
	for i := range doc.Choices {
		doc.Choices[i] = strconv.Itoa(i)
	}
	return doc, err
}
